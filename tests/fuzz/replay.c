/* Runs fuzz targets over their corpora, without a fuzzer: replay CORPORA [TARGET ...]. Each folder in CORPORA has a
 * target's name; each file in it is an input. A broken promise aborts, and the last line names the input.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static const struct {
    const char *name;
    int (*run)(const uint8_t *data, size_t size);
} targets[] = {
#define FUZZ_ROW(name) {#name, fuzz_##name},
    FUZZ_TARGETS(FUZZ_ROW)
#undef FUZZ_ROW
};

static const char *input = "";

static void name_input(int number)
{
    signal(number, SIG_DFL); /* where it goes on afterwards */
    fprintf(stderr, "replay: it was %s\n", input);
}

static void run_file(int (*run)(const uint8_t *, size_t), const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    uint8_t *data;

    FUZZ_CHECK(file && stat(path, &info) == 0);
    data = malloc((size_t)info.st_size + 1);
    FUZZ_CHECK(fread(data, 1, (size_t)info.st_size, file) == (size_t)info.st_size);
    fclose(file);
    input = path;
    run(data, (size_t)info.st_size);
    free(data);
}

static int run_target(int (*run)(const uint8_t *, size_t), const char *corpora, const char *name)
{
    char path[4096];
    struct dirent *entry;
    DIR *folder;
    int count = 0;

    snprintf(path, sizeof(path), "%s/%s", corpora, name);
    if (!(folder = opendir(path))) {
        fprintf(stderr, "%s: there is no such corpus\n", path);
        return 0;
    }
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s/%s", corpora, name, entry->d_name);
        run_file(run, path);
        count++;
    }
    closedir(folder);
    return count;
}

static int is_chosen(const char *name, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return 1;
    }
    return argc <= 2;
}

int main(int argc, char **argv)
{
    int total = 0, empty = 0;

    signal(SIGABRT, name_input);
    signal(SIGSEGV, name_input);
    if (argc < 2) {
        fprintf(stderr, "replay CORPORA [TARGET ...]\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        int count;
        if (!is_chosen(targets[i].name, argc, argv))
            continue;
        count = run_target(targets[i].run, argv[1], targets[i].name);
        empty += count == 0;
        total += count;
    }
    printf("fuzz corpora: %d inputs, all promises held\n", total);
    return empty > 0;
}
