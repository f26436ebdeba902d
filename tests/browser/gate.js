// Lies between a visitor's browser and the server: records what is posted, and answers in the server's place when a
// test asks for that. Unlike Playwright's route() it also meets the requests of a page that goes.
// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { createServer, request } from 'node:http';

export class Gate {
  sent = []; // {time, url, body, headers} of each POST
  #fault = () => undefined;
  #target;
  #server = createServer((incoming, outgoing) => this.#take(incoming, outgoing));

  static async open(target) {
    const gate = new Gate();
    gate.#target = target;
    gate.#server.listen(0, '127.0.0.1');
    gate.#server.unref();
    await once(gate.#server, 'listening');
    gate.origin = `http://127.0.0.1:${gate.#server.address().port}`;
    return gate;
  }

  /**
   * What a POST gets from now on: {status, headers, body}, 'hang up', a path that it goes to instead, undefined for the
   * server's own answer; or a function that returns one of them.
   */
  answer(given) {
    this.#fault = typeof given === 'function' ? given : () => given;
  }

  close() {
    this.#server.closeAllConnections?.(); // from Node 18.2 on
    this.#server.close();
  }

  async #take(incoming, outgoing) {
    // Browsers repeat by themselves what fails on a connection that was used before.
    outgoing.setHeader('Connection', 'close');
    const { method, headers, url } = incoming;
    const body = Buffer.concat(await incoming.toArray().catch(() => []));
    let fault;
    if (method === 'POST') {
      this.sent.push({ time: Date.now(), url, body: body.toString(), headers });
      fault = this.#fault();
    }
    if (fault === 'hang up') incoming.socket.destroy();
    else if (fault?.status) {
      outgoing.writeHead(fault.status, { 'Content-Type': 'application/json', ...fault.headers });
      outgoing.end(fault.body ?? '{}');
    } else {
      const onward = request(this.#target + (fault ?? url), { method, headers, agent: false }, (answer) => {
        outgoing.writeHead(answer.statusCode, { ...answer.headers, connection: 'close' });
        answer.pipe(outgoing);
      });
      onward.on('error', () => incoming.socket.destroy());
      onward.end(body);
    }
  }
}
