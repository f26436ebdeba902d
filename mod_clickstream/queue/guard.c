/* What is gone from a mapped file raises SIGBUS where it is touched: after a truncate(), on a disk that fails, on a
 * full one that copies on write. Then zeros take the page's place, in this process, and the queue counts as broken:
 * nothing is promised or delivered from then on, and whoever watches the queue goes over to a sound one.
 *
 * A handler for the process, set once, when the first queue is opened. A SIGBUS that is not ours goes to the handler of
 * before. SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "queue/layout.h"

/* Queues that one process has open at once; of more, the rest is not guarded. */
#define GUARDED_MOST 256

static cs_queue_t *guarded[GUARDED_MOST]; /* NULL: free; read by the handler, so without a lock */
static struct sigaction before;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static long page;

static cs_queue_t *queue_of(const char *address)
{
    for (int i = 0; i < GUARDED_MOST; i++) {
        cs_queue_t *queue = __atomic_load_n(&guarded[i], __ATOMIC_ACQUIRE);
        if (queue && address >= (const char *)queue->header && address < queue->ring + 2 * queue->capacity)
            return queue;
    }
    return NULL;
}

/* mmap() is no more than a system call, which a handler may make. */
static void replace_page(int number, siginfo_t *info, void *context)
{
    cs_queue_t *queue = info->si_code > 0 ? queue_of(info->si_addr) : NULL; /* SI_USER and the like have no address */
    char *start = (char *)info->si_addr - (apr_uintptr_t)info->si_addr % (apr_uintptr_t)page;

    (void)context;
    if (queue) {
        const char *lost = __atomic_load_n(&queue->lost, __ATOMIC_RELAXED);
        if (!lost || start < lost)
            __atomic_store_n(&queue->lost, start, __ATOMIC_RELAXED);
        set_broken(queue);
        if (mmap(start, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == start)
            return;
    }
    sigaction(number, &before, NULL); /* it comes again, to whoever it is for */
    if (info->si_code <= 0)
        raise(number);
}

static void set_handler(void)
{
    struct sigaction action;

    page = sysconf(_SC_PAGESIZE);
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = replace_page;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &before);
}

void queue_guard(cs_queue_t *queue)
{
    pthread_once(&once, set_handler);
    for (int i = 0; i < GUARDED_MOST; i++) {
        cs_queue_t *none = NULL;
        if (__atomic_compare_exchange_n(&guarded[i], &none, queue, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return;
    }
}

void queue_unguard(cs_queue_t *queue)
{
    for (int i = 0; i < GUARDED_MOST; i++) {
        cs_queue_t *it = queue;
        __atomic_compare_exchange_n(&guarded[i], &it, NULL, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    }
}
