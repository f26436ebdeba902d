/* clickstreamctl: shows what is in the queues, delivers it, and puts back what was set aside; see clickstreamctl.1.
 *
 * It works beside httpd and the CGI, on the same queue files, by the same locks. Run by root it becomes the owner of
 * the queue folder before it touches a queue, so that no file in that folder ever belongs to root.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_general.h>
#include <apr_strings.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/conf.h"
#include "ctl.h"

#define NUMBER_MOST 1000
#define PATIENCE_MOST 86400 /* s */

/* `options` names those that the command has, by their letters below. */
static const struct command_t {
    const char *name;
    int (*run)(ctl_t *ctl);
    const char *options;
    int least, most; /* arguments */
    const char *usage, *about;
} commands[] = {
    {"status", ctl_status, "j", 0, 1, "[--json] [NAME]", "how each stream's queue is"},
    {"peek", ctl_peek, "n", 0, 1, "[-n N] [NAME]", "the next events, one a line (N: 10)"},
    {"send", ctl_send, "tw", 0, 1, "[-t TIME] [-w TIME] [NAME]", "deliver now, for cron (-t: 50s)"},
    {"check", ctl_check, "", 0, 0, "", "is the configuration right?"},
    {"requeue", ctl_requeue, "s", 1, 1, "[-s NAME] FILE", "put rejected or saved events back"},
    {NULL},
};

static const struct option long_options[] = {
    {"file", required_argument, NULL, 'f'},
    {"json", no_argument, NULL, 'j'},
    {"number", required_argument, NULL, 'n'},
    {"time", required_argument, NULL, 't'},
    {"stream", required_argument, NULL, 's'},
    {"wait", required_argument, NULL, 'w'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static const cs_log_t log_to_stderr = {.write = cs_log_to_stderr, .level = CS_LOG_WARNING};

void ctl_complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("clickstreamctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

static void print_help(void)
{
    printf("usage: clickstreamctl [-f CONF] COMMAND ...\n\n");
    for (const struct command_t *command = commands; command->name; command++)
        printf("  %-7s %-26s  %s\n", command->name, command->usage, command->about);
    printf("\nCONF is the CGI's configuration, or httpd's file with the ClickstreamStream directives. Default:\n"
           "$CLICKSTREAM_CONFIG, else clickstream/clickstream.conf in your home folder, else\n%s.\n",
           CS_CONF_FILE);
}

static const struct command_t *find_command(const char *name)
{
    const struct command_t *command = commands;

    while (command->name && strcmp(command->name, name) != 0)
        command++;
    return command->name ? command : NULL;
}

static int wrong_usage(const struct command_t *command)
{
    if (command)
        ctl_complain("usage: clickstreamctl [-f CONF] %s %s", command->name, command->usage);
    else
        ctl_complain("usage: clickstreamctl [-f CONF] status|peek|send|check|requeue ...; --help says more");
    return EX_USAGE;
}

/* "50", "50s", "5m", "1h", from 1 s to PATIENCE_MOST. Returns 0 where it is none. */
static int parse_time(apr_interval_time_t *time, const char *text)
{
    static const struct {
        const char *suffix;
        long seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}};
    char *end;
    long number = strtol(text, &end, 10);

    if (end == text || number < 1 || number > PATIENCE_MOST)
        return 0;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].suffix) == 0) {
            *time = apr_time_from_sec(number * units[i].seconds);
            return *time <= apr_time_from_sec(PATIENCE_MOST);
        }
    }
    return 0;
}

static int parse_number(int *number, const char *text)
{
    char *end;
    long parsed = strtol(text, &end, 10);

    if (end == text || *end || parsed < 1 || parsed > NUMBER_MOST)
        return 0;
    *number = (int)parsed;
    return 1;
}

/* Takes one option. Returns 0 when it has been said what is wrong with it. */
static int take_option(ctl_t *ctl, int letter, const char *value)
{
    switch (letter) {
    case 'f':
        ctl->conf = value;
        return 1;
    case 'j':
        ctl->json = 1;
        return 1;
    case 's':
        ctl->stream = value;
        return 1;
    case 'n':
        if (parse_number(&ctl->number, value))
            return 1;
        ctl_complain("-n %s: write a number from 1 to %d", value, NUMBER_MOST);
        return 0;
    case 't':
        if (parse_time(&ctl->patience, value))
            return 1;
        ctl_complain("-t %s: write a time such as 50s, 5m or 1h, up to 24h", value);
        return 0;
    case 'w':
        if (parse_time(&ctl->stay, value))
            return 1;
        ctl_complain("-w %s: write a time such as 2s, 5m or 1h, up to 24h", value);
        return 0;
    default:
        return 0; /* getopt_long() has said it */
    }
}

/* Output that did not get where it should must not look like success. */
static int finish_output(int result)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && result == EX_OK) {
        ctl_complain("the output cannot be written");
        return EX_IOERR;
    }
    return result;
}

static int run(ctl_t *ctl, int argc, char **argv, const char *used)
{
    const struct command_t *command = argc ? find_command(argv[0]) : NULL;

    if (argc && !command)
        ctl_complain("there is no command %s", argv[0]);
    if (!command || argc - 1 < command->least || argc - 1 > command->most)
        return wrong_usage(command);
    if (used[strspn(used, command->options)])
        return wrong_usage(command);
    ctl->argument = argv[1]; /* argv ends with NULL */
    return finish_output(command->run(ctl));
}

int main(int argc, char **argv)
{
    ctl_t ctl = {.log = &log_to_stderr, .number = 10, .patience = apr_time_from_sec(50)};
    char used[8] = "";
    int letter, result;

    if (getenv("GATEWAY_INTERFACE")) { /* put into a folder of CGI programs, by mistake: events are not for everybody */
        printf("Status: 403\r\n\r\n");
        return EX_NOPERM;
    }
    while ((letter = getopt_long(argc, argv, "f:jn:t:w:s:hV", long_options, NULL)) != -1) {
        if (letter == 'h' || letter == 'V') {
            letter == 'h' ? print_help() : (void)printf("clickstreamctl %s\n", PACKAGE_VERSION);
            return finish_output(EX_OK);
        }
        if (!take_option(&ctl, letter, optarg))
            return wrong_usage(NULL);
        if (letter != 'f' && !strchr(used, letter))
            used[strlen(used)] = (char)letter;
    }
    signal(SIGXFSZ, SIG_IGN); /* a write tells of a limit on the size of files, and then it is said what to do */
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&ctl.pool, NULL) != APR_SUCCESS) {
        ctl_complain("there is no memory");
        return EX_OSERR;
    }
    if (!ctl.conf)
        ctl.conf = cs_conf_path(ctl.pool);
    result = run(&ctl, argc - optind, argv + optind, used);
    apr_pool_destroy(ctl.pool);
    apr_terminate();
    return result;
}
