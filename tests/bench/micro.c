/* The core's parts, one by one, without a server: micro PART BODY COUNT FOLDER. BODY is a file with a request's body,
 * FOLDER gets queue files. Prints nanoseconds of CPU.
 *     collect  COUNT requests are parsed, checked and enriched: nanoseconds a request
 *     append   COUNT requests' records are queued: nanoseconds a request
 *     path     both, and nothing is printed: for whoever counts instructions
 *     send     COUNT bodies of 4 MiB are encoded and signed: nanoseconds an event
 *     filled   COUNT times some appends to a queue with nothing in it, and some to one of the same size with 1 GiB in
 *              it; nanoseconds an append, of both
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "deliver/sigv4.h"
#include "intake/intake.h"

static apr_pool_t *pool;
static const cs_log_t logs = {.write = cs_log_to_stderr, .level = CS_LOG_WARNING};

static void die(const char *what)
{
    fprintf(stderr, "micro: %s\n", what);
    exit(1);
}

static double cpu(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static cs_span_t read_file(const char *path)
{
    apr_file_t *file;
    apr_finfo_t info;
    char *text;

    if (apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pool) != APR_SUCCESS ||
        apr_file_info_get(&info, APR_FINFO_SIZE, file) != APR_SUCCESS)
        die(path);
    text = apr_palloc(pool, (apr_size_t)info.size);
    if (apr_file_read_full(file, text, (apr_size_t)info.size, NULL) != APR_SUCCESS)
        die(path);
    return (cs_span_t){text, (apr_size_t)info.size};
}

/* --- requests --- */

/* As traffic.py has them, and in a table, as httpd has them. */
static const char *const headers[][2] = {
    {"Host", "127.0.0.1:8080"},
    {"client_id", "touchwood-app"},
    {"Authorization", "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI3MzE2NTgyOTQwMTIiLCJpYXQiOjE2NDU1NTQ0NTh9"
                      ".c2lnbmF0dXJlLW9mLXRoaXMtdG9rZW4tb2YtMzItYg"},
    {"Content-Type", "application/json"},
    {"User-Agent",
     "Mozilla/5.0 (iPhone; CPU iPhone OS 15_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"},
    {"Accept", "*/*"},
    {"Accept-Language", "de-DE,de;q=0.9"},
    {"Origin", "https://app.example.com"},
    {"X-Forwarded-For", "90.200.187.19, 165.225.197.24"},
};
static const char *const directives[][2] = {
    {"ClickstreamClient", "touchwood-app"},
    {"ClickstreamAllowOrigin", "https://app.example.com"},
};

static const char *header(void *from, const char *name)
{
    return apr_table_get(from, name);
}

static const char *field(void *from, const cs_field_t *expression)
{
    (void)from;
    (void)expression;
    return NULL;
}

typedef struct site_t {
    cs_location_t settings;
    cs_request_t request;
    cs_span_t body;
} site_t;

static site_t make_site(const char *body)
{
    site_t site = {.body = read_file(body)};
    apr_table_t *table = apr_table_make(pool, 10);

    cs_settings_unset(cs_location_settings, &site.settings);
    for (size_t i = 0; i < sizeof(directives) / sizeof(directives[0]); i++) {
        if (cs_settings_read(cs_location_settings, &site.settings, directives[i][0], 1, &directives[i][1], pool))
            die(directives[i][0]);
    }
    cs_settings_defaults(cs_location_settings, &site.settings, pool);
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        apr_table_setn(table, headers[i][0], headers[i][1]);
    site.request = (cs_request_t){.method = "POST",
                                  .remote_address = "127.0.0.1",
                                  .now = apr_time_now(),
                                  .header = header,
                                  .field = field,
                                  .random = RAND_bytes,
                                  .from = table};
    return site;
}

static void collect(cs_collect_t *collected, const site_t *site, apr_pool_t *request_pool)
{
    if (!cs_collect_begin(collected, &site->request, &site->settings, request_pool))
        die("the request is refused");
    cs_collect_body(collected, site->body);
    if (!collected->records->nelts)
        die("its events are refused");
}

/* --- queues --- */

static cs_queue_t *make_queue(const char *folder, const char *name, apr_int64_t capacity)
{
    const cs_queue_options_t options = {.directory = folder, .name = name, .capacity = capacity, .watched = 1};
    cs_queue_t *queue;

    if (cs_queue_open(&queue, &options, &logs) != APR_SUCCESS)
        die("no queue");
    return queue;
}

static void append(cs_queue_t *queue, cs_collect_t *collected)
{
    if (cs_intake(collected, queue, NULL, collected->request.now) != APR_SUCCESS)
        die("the queue is full");
}

static void empty_queue(cs_queue_t *queue)
{
    cs_queue_record_t records[500];
    apr_uint64_t cursor = 0;
    int count;

    if (cs_queue_sender_lock(queue, 0) != APR_SUCCESS)
        die("another sender");
    while ((count = cs_queue_read(records, 500, queue, &cursor)) > 0) {
        for (int i = 0; i < count; i++)
            cs_queue_settle(queue, records[i].position, CS_SETTLED_DELIVERED);
    }
    cs_queue_advance(queue);
    cs_queue_sender_unlock(queue);
}

/* --- parts --- */

/* A request's pool is made and destroyed with it, as httpd does. */
static double run_collect(const site_t *site, int count)
{
    double before = cpu();

    for (int i = 0; i < count; i++) {
        cs_collect_t collected;
        apr_pool_t *request_pool;
        apr_pool_create(&request_pool, pool);
        collect(&collected, site, request_pool);
        apr_pool_destroy(request_pool);
    }
    return (cpu() - before) / count;
}

static double run_append(const site_t *site, int count, const char *folder)
{
    cs_queue_t *queue = make_queue(folder, "append", 64 * CS_MIB);
    cs_collect_t collected;
    double used = 0;

    collect(&collected, site, pool);
    for (int done = 0; done < count;) {
        double before = cpu();
        for (int i = 0; i < 100 && done < count; i++, done++)
            append(queue, &collected);
        used += cpu() - before;
        empty_queue(queue);
    }
    cs_queue_close(queue);
    return used / count;
}

static void run_path(const site_t *site, int count, const char *folder)
{
    cs_queue_t *queue = make_queue(folder, "path", 64 * CS_MIB);

    for (int i = 0; i < count; i++) {
        cs_collect_t collected;
        apr_pool_t *request_pool;
        apr_pool_create(&request_pool, pool);
        collect(&collected, site, request_pool);
        append(queue, &collected);
        apr_pool_destroy(request_pool);
    }
    cs_queue_close(queue);
}

/* What sink_firehose.c does to the bytes: records of 100 KiB are put together, encoded, and hashed for the signature.
 */
static double run_send(const site_t *site, int count)
{
    enum { RECORD = 20 * 5120, BODY = 4 << 20 };
    const cs_sigv4_scope_t scope = {.time = site->request.now, .region = "us-east-1", .service = "firehose"};
    const cs_sigv4_header_t signed_headers[] = {{"host", "localhost"}, {"x-amz-date", "20220222T183728Z"}};
    unsigned char *record = apr_palloc(pool, RECORD), *body = apr_palloc(pool, BODY + 1);
    cs_collect_t collected;
    cs_span_t event;
    double before;
    long events = 0;

    collect(&collected, site, pool);
    event = APR_ARRAY_IDX(collected.records, 0, cs_span_t);
    before = cpu();
    for (int i = 0; i < count; i++) {
        apr_pool_t *post_pool;
        cs_sigv4_request_t post = {.method = "POST", .path = "/", .query = "", .headers = signed_headers};
        apr_size_t length = 0;
        apr_pool_create(&post_pool, pool);
        post.header_count = sizeof(signed_headers) / sizeof(signed_headers[0]);
        while (length + RECORD / 3 * 4 + 4 <= BODY) {
            apr_size_t used = 0;
            for (; used + event.length + 1 <= RECORD; events++) {
                memcpy(record + used, event.at, event.length);
                used += event.length;
                record[used++] = '\n';
            }
            length += (apr_size_t)EVP_EncodeBlock(body + length, record, (int)used);
        }
        post.body = (cs_span_t){(const char *)body, length};
        if (!cs_sigv4_authorization(&post, &scope, "AKIDEXAMPLE", "secret", post_pool))
            die("no signature");
        apr_pool_destroy(post_pool);
    }
    return (cpu() - before) / (double)events;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Pages that the disk has yet to get cost another time than those that it has: all are the same to begin with. */
static void write_back(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || syncfs(fd) != 0)
        die(folder);
    close(fd);
}

/* By turns, and of each the median, so that what else the machine does weighs on both alike. Nothing is taken out of
 * the empty one, which would leave the caches in another state: it is soon no longer empty, but far from full. */
static void run_filled(const site_t *site, int count, const char *folder)
{
    enum { EMPTY, FILLED, KINDS, APPENDS = 200 };
    const apr_int64_t most = CS_GIB + CS_GIB / 8;
    cs_queue_t *queues[KINDS] = {make_queue(folder, "empty", most), make_queue(folder, "filled", most)};
    double *costs[KINDS];
    cs_collect_t collected;
    cs_queue_stats_t stats;

    collect(&collected, site, pool);
    do {
        for (int i = 0; i < 1000; i++)
            append(queues[FILLED], &collected);
        cs_queue_stats(&stats, queues[FILLED]);
    } while (stats.used < CS_GIB);
    write_back(folder);
    for (int kind = 0; kind < KINDS; kind++)
        costs[kind] = apr_palloc(pool, (apr_size_t)count * sizeof(double));
    for (int turn = 0; turn < count; turn++) {
        for (int i = 0; i < KINDS; i++) {
            int kind = turn % 2 ? KINDS - 1 - i : i;
            double before = cpu();
            for (int j = 0; j < APPENDS; j++)
                append(queues[kind], &collected);
            costs[kind][turn] = (cpu() - before) / APPENDS;
        }
    }
    for (int kind = 0; kind < KINDS; kind++) {
        qsort(costs[kind], (size_t)count, sizeof(double), by_size);
        printf("%.1f\n", costs[kind][count / 2]);
        cs_queue_close(queues[kind]);
    }
}

int main(int argc, char **argv)
{
    const char *part = argc == 5 ? argv[1] : "";
    site_t site;
    int count;

    apr_initialize();
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    if (argc != 5 || (count = atoi(argv[3])) < 1)
        die("PART BODY COUNT FOLDER");
    site = make_site(argv[2]);
    if (strcmp(part, "collect") == 0)
        printf("%.1f\n", run_collect(&site, count));
    else if (strcmp(part, "append") == 0)
        printf("%.1f\n", run_append(&site, count, argv[4]));
    else if (strcmp(part, "path") == 0)
        run_path(&site, count, argv[4]);
    else if (strcmp(part, "send") == 0)
        printf("%.2f\n", run_send(&site, count));
    else if (strcmp(part, "filled") == 0)
        run_filled(&site, count, argv[4]);
    else
        die("no such part");
    return 0;
}
