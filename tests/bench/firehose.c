/* A Firehose that costs next to nothing, for measuring what is in front of it: firehose CERTIFICATE KEY. It takes
 * PutRecordBatch over TLS on a free loopback port, which it prints, believes everything, and counts. A thread for each
 * connection; connections are kept.
 * Commands come as lines on the standard input, each is answered by one line, and its end is the end:
 *     counts      what came since the last reset, as JSON
 *     bodies      the lengths of the requests' bodies since then, as JSON
 *     reset       counts begin anew
 *     delay N     milliseconds before each answer
 *     throttle N  of 100 records fail
 *     fail N      1: every request is answered by 500
 *     silent N    1: no request is answered
 *     away N      1: no connection, and nobody listens on the port
 * SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MOST 16384      /* of a request, before its body */
#define BODY_MOST (8 << 20)  /* twice what AWS takes */
#define RECORDS_MOST 500     /* "Amazon Data Firehose Quota" */
#define ROUNDING 5120        /* "Amazon Data Firehose pricing" */
#define BODIES_MOST 65536    /* whose lengths are kept */
#define CONNECTIONS_MOST 256 /* at once */

#define ID56 "00000000000000000000000000000000000000000000000000000000"
#define TAKEN "{\"RecordId\":\"" ID56 ID56 ID56 ID56 "\"}" /* AWS's ids are about as long */
#define FAILED "{\"ErrorCode\":\"ServiceUnavailableException\",\"ErrorMessage\":\"Slow down.\"}"

enum { DELAY, THROTTLE, FAIL, SILENT, SETTINGS };
static const char *const setting_names[SETTINGS] = {"delay", "throttle", "fail", "silent"};
static _Atomic int settings[SETTINGS];

typedef struct counts_t {
    uint64_t connections, requests, unreadable; /* unreadable: without a record that could be counted */
    uint64_t body_bytes;                        /* as they came */
    uint64_t records, failed, record_bytes, billed_bytes, events; /* of the records that were taken, after base64 */
} counts_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all below */
static counts_t counts;
static uint32_t bodies[BODIES_MOST];
static int sockets[CONNECTIONS_MOST]; /* -1: a free place */

static SSL_CTX *tls;
static int listener = -1;
static struct sockaddr_in address = {.sin_family = AF_INET};

static void die(const char *what)
{
    fprintf(stderr, "firehose: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* --- records --- */

/* A character's six bits, for each of its four places in a quantum. */
static uint32_t places[4][256];

static void make_places(void)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (uint32_t i = 0; i < 64; i++) {
        for (int place = 0; place < 4; place++)
            places[place][(unsigned char)alphabet[i]] = i << (6 * (3 - place));
    }
}

static unsigned newlines(const char *base64, size_t length)
{
    const unsigned char *at = (const unsigned char *)base64, *end = at + length / 4 * 4;
    unsigned found = 0;

    for (; at < end; at += 4) {
        uint32_t three = places[0][at[0]] | places[1][at[1]] | places[2][at[2]] | places[3][at[3]];
        for (int shift = 0; shift < 24; shift += 8)
            found += (three >> shift & 0xff) == '\n';
    }
    return found;
}

static uint64_t decoded(const char *base64, size_t length)
{
    uint64_t bytes = length / 4 * 3;

    if (bytes && base64[length - 1] == '=')
        bytes -= base64[length - 2] == '=' ? 2 : 1;
    return bytes;
}

/* Counts the records of a body into `more`, and writes the answer's body; its length. */
static size_t answer_records(char *answer, counts_t *more, const char *body, size_t length)
{
    static const char mark[] = "\"Data\":\"";
    static _Atomic unsigned asked; /* for taking turns at failing */
    const char *at = body, *end = body + length;
    char entries[RECORDS_MOST * sizeof(TAKEN)], *to = entries;

    while (more->records + more->failed < RECORDS_MOST) {
        const char *data = memmem(at, (size_t)(end - at), mark, sizeof(mark) - 1);
        const char *close = NULL;
        if (data) {
            data += sizeof(mark) - 1;
            close = memchr(data, '"', (size_t)(end - data));
        }
        if (!close)
            break;
        if (asked++ % 100 < (unsigned)settings[THROTTLE]) {
            more->failed++;
            to = stpcpy(to, FAILED ",");
        }
        else {
            uint64_t bytes = decoded(data, (size_t)(close - data));
            more->records++;
            more->record_bytes += bytes;
            more->billed_bytes += (bytes + ROUNDING - 1) / ROUNDING * ROUNDING;
            more->events += newlines(data, (size_t)(close - data));
            to = stpcpy(to, TAKEN ",");
        }
        at = close + 1;
    }
    if (to > entries)
        to--; /* the last comma */
    return (size_t)sprintf(answer, "{\"FailedPutCount\":%llu,\"Encrypted\":false,\"RequestResponses\":[%.*s]}",
                           (unsigned long long)more->failed, (int)(to - entries), entries);
}

static void count(const counts_t *more)
{
    pthread_mutex_lock(&lock);
    if (counts.requests < BODIES_MOST)
        bodies[counts.requests] = (uint32_t)more->body_bytes;
    counts.requests++;
    counts.unreadable += more->records + more->failed == 0;
    counts.body_bytes += more->body_bytes;
    counts.records += more->records;
    counts.failed += more->failed;
    counts.record_bytes += more->record_bytes;
    counts.billed_bytes += more->billed_bytes;
    counts.events += more->events;
    pthread_mutex_unlock(&lock);
}

/* --- connections --- */

/* The head of a request, and as much of its body as came with it: the bytes of both, and where the body begins. */
static int read_head(char *buffer, size_t *have, size_t *head, SSL *connection)
{
    const char *end;

    *have = 0;
    do {
        int more = *have < HEAD_MOST ? SSL_read(connection, buffer + *have, (int)(HEAD_MOST - *have)) : 0;
        if (more <= 0)
            return 0;
        *have += (size_t)more;
        end = memmem(buffer, *have, "\r\n\r\n", 4);
    } while (!end);
    *head = (size_t)(end - buffer) + 4;
    return 1;
}

static size_t content_length(const char *head, size_t length)
{
    static const char name[] = "content-length:";

    /* The head ends with an empty line, so that there is always something behind a line's end. */
    for (const char *line = memchr(head, '\n', length); line;
         line = memchr(line, '\n', (size_t)(head + length - line))) {
        line++;
        if ((size_t)(head + length - line) > sizeof(name) && strncasecmp(line, name, sizeof(name) - 1) == 0)
            return strtoul(line + sizeof(name) - 1, NULL, 10);
    }
    return 0;
}

static void wait_as_told(void)
{
    int wait = settings[DELAY];
    struct timespec time = {wait / 1000, wait % 1000 * 1000000L};

    if (wait)
        nanosleep(&time, NULL);
    while (settings[SILENT])
        nanosleep(&(struct timespec){0, 10000000}, NULL);
}

/* One request and its answer. `buffer` has room for a head and a body. */
static int serve_one(SSL *connection, char *buffer, char *answer)
{
    size_t have, head, length, answer_length;
    char *body = answer + 256; /* of the answer, behind the room for its head */
    counts_t more = {0};
    int refuse, head_length;

    if (!read_head(buffer, &have, &head, connection))
        return 0;
    length = content_length(buffer, head);
    if (length > BODY_MOST)
        return 0;
    while (have < head + length) {
        int got = SSL_read(connection, buffer + have, (int)(head + length - have));
        if (got <= 0)
            return 0;
        have += (size_t)got;
    }
    wait_as_told();
    refuse = settings[FAIL];
    if (refuse)
        answer_length = (size_t)sprintf(body, "{\"__type\":\"InternalFailure\",\"message\":\"As told.\"}");
    else
        answer_length = answer_records(body, &more, buffer + head, length);
    more.body_bytes = length;
    count(&more);
    head_length = sprintf(answer,
                          "HTTP/1.1 %s\r\nContent-Type: application/x-amz-json-1.1\r\nx-amzn-RequestId: bench\r\n"
                          "Content-Length: %zu\r\n\r\n",
                          refuse ? "500 Internal Server Error" : "200 OK", answer_length);
    memmove(answer + head_length, body, answer_length);
    return SSL_write(connection, answer, head_length + (int)answer_length) > 0;
}

static int put_socket(int socket)
{
    int place = -1;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < CONNECTIONS_MOST && place < 0; i++) {
        if (sockets[i] < 0)
            place = i;
    }
    if (place >= 0)
        sockets[place] = socket;
    pthread_mutex_unlock(&lock);
    return place;
}

static void *serve(void *argument)
{
    int socket = (int)(intptr_t)argument, place = put_socket(socket);
    SSL *connection = SSL_new(tls);
    char *buffer = malloc(HEAD_MOST + BODY_MOST), *answer = malloc(512 + RECORDS_MOST * sizeof(TAKEN));

    if (place >= 0 && connection && buffer && answer && SSL_set_fd(connection, socket) && SSL_accept(connection) == 1) {
        pthread_mutex_lock(&lock);
        counts.connections++;
        pthread_mutex_unlock(&lock);
        while (serve_one(connection, buffer, answer))
            ;
    }
    SSL_free(connection);
    free(buffer);
    free(answer);
    pthread_mutex_lock(&lock);
    if (place >= 0)
        sockets[place] = -1;
    close(socket); /* under the lock: whoever shuts sockets down means this one */
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void *accept_all(void *argument)
{
    int from = (int)(intptr_t)argument;
    pthread_attr_t detached;

    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (;;) {
        pthread_t thread;
        int socket = accept4(from, NULL, NULL, SOCK_CLOEXEC);
        if (socket < 0 && errno != EINTR && errno != ECONNABORTED)
            break; /* it was shut down */
        if (socket >= 0 && pthread_create(&thread, &detached, serve, (void *)(intptr_t)socket) != 0)
            close(socket);
    }
    close(from);
    return NULL;
}

static void come(void)
{
    socklen_t length = sizeof(address);
    pthread_t thread;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if ((listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0 ||
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
        bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 128) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        die("cannot listen");
    if (pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)listener) != 0)
        die("no thread");
    pthread_detach(thread);
}

static void go(void)
{
    shutdown(listener, SHUT_RDWR);
    listener = -1;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < CONNECTIONS_MOST; i++) {
        if (sockets[i] >= 0)
            shutdown(sockets[i], SHUT_RDWR);
    }
    pthread_mutex_unlock(&lock);
}

/* --- commands --- */

static void print_counts(void)
{
    counts_t now;

    pthread_mutex_lock(&lock);
    now = counts;
    pthread_mutex_unlock(&lock);
#define EACH(name) printf("\"" #name "\":%llu,", (unsigned long long)now.name)
    printf("{");
    EACH(connections);
    EACH(requests);
    EACH(unreadable);
    EACH(body_bytes);
    EACH(records);
    EACH(failed);
    EACH(record_bytes);
    EACH(billed_bytes);
    printf("\"events\":%llu}\n", (unsigned long long)now.events);
#undef EACH
}

static void print_bodies(void)
{
    pthread_mutex_lock(&lock);
    printf("[");
    for (uint64_t i = 0; i < counts.requests && i < BODIES_MOST; i++)
        printf("%s%u", i ? "," : "", bodies[i]);
    printf("]\n");
    pthread_mutex_unlock(&lock);
}

static int set(const char *name, int value)
{
    if (strcmp(name, "away") == 0) {
        if (value && listener >= 0)
            go();
        else if (!value && listener < 0)
            come();
        return 1;
    }
    for (int i = 0; i < SETTINGS; i++) {
        if (strcmp(name, setting_names[i]) == 0) {
            settings[i] = value;
            return 1;
        }
    }
    return 0;
}

static void obey(const char *line)
{
    char name[16] = "";
    int value = 0, words = sscanf(line, "%15s %d", name, &value);

    if (strcmp(name, "counts") == 0)
        print_counts();
    else if (strcmp(name, "bodies") == 0)
        print_bodies();
    else if (strcmp(name, "reset") == 0) {
        pthread_mutex_lock(&lock);
        memset(&counts, 0, sizeof(counts));
        pthread_mutex_unlock(&lock);
        printf("ok\n");
    }
    else
        printf("%s\n", words == 2 && set(name, value) ? "ok" : "unknown");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[64];

    if (argc != 3) {
        fprintf(stderr, "firehose CERTIFICATE KEY\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    memset(sockets, -1, sizeof(sockets));
    make_places();
    if (!(tls = SSL_CTX_new(TLS_server_method())) || !SSL_CTX_use_certificate_chain_file(tls, argv[1]) ||
        !SSL_CTX_use_PrivateKey_file(tls, argv[2], SSL_FILETYPE_PEM))
        die(argv[1]);
    /* Several TLS records with one read(). */
    SSL_CTX_set_read_ahead(tls, 1);
    SSL_CTX_set_default_read_buffer_len(tls, 1 << 17);
    come();
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin))
        obey(line);
    return 0;
}
