/* A CGI program that does nothing, for measuring what a process for each request costs by itself. What was posted it
 * has to read, or httpd would break the connection off. SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

int main(void)
{
    static const char answer[] = "Status: 204\n\n";
    char posted[4096];

    while (read(STDIN_FILENO, posted, sizeof(posted)) > 0)
        ;
    return write(STDOUT_FILENO, answer, sizeof(answer) - 1) < 0;
}
