// A trial: one turn's writes to many sockets, by `send` in a loop and by one
// submission to io_uring, in alternating blocks in one run. Says what a second
// driver of the node's shell could gain; is no part of Porthouse. A child on the
// other core reads all of it.
//
//     cc -O2 -o uring uring.c && ./uring [SOCKETS [BYTES]]

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS = 9, TURNS = 100, ENTRIES = 4096, SOCKETS_MAX = 4000 };

static int sockets[SOCKETS_MAX];
static int count = 1000;
static size_t length = 130;
static char payload[64 * 1024];

static void stop(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void pin(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);  // With one core, so be it.
}

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

// Makes the sockets; the child has the far ends, and reads until it is killed.
static pid_t make_sockets(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0), yes = 1;
    if (bind(listener, (void *)&at, sizeof at) || listen(listener, 128)) stop("listen");
    getsockname(listener, (void *)&at, &size);
    static int far[SOCKETS_MAX];
    for (int i = 0; i < count; i++) {
        far[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (far[i] < 0 || connect(far[i], (void *)&at, sizeof at)) stop("connect");
        sockets[i] = accept(listener, NULL, NULL);
        if (sockets[i] < 0) stop("accept");
        setsockopt(sockets[i], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = far[i]};
        epoll_ctl(poll, EPOLL_CTL_ADD, far[i], &event);
    }
    pid_t child = fork();
    if (child < 0) stop("fork");
    if (child > 0) {
        for (int i = 0; i < count; i++) close(far[i]);
        close(poll);
        return child;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(1);
    static char scratch[256 * 1024];
    struct epoll_event ready[512];
    for (;;) {
        int here = epoll_wait(poll, ready, 512, -1);
        for (int i = 0; i < here; i++)
            if (read(ready[i].data.fd, scratch, sizeof scratch) <= 0) _exit(0);
    }
}

// The ring, and the parts of its shared memory that a submission needs.
static struct {
    int fd;
    unsigned *submit_tail, *submit_mask, *submit_array;
    unsigned *done_head, *done_tail, *done_mask;
    struct io_uring_sqe *entries;
    struct io_uring_cqe *done;
} ring;

static const char *make_ring(void) {
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    const char *kind = "deferred task work, registered files";
    ring.fd = syscall(SYS_io_uring_setup, ENTRIES, &params);
    if (ring.fd < 0 && errno == EINVAL) {
        memset(&params, 0, sizeof params);
        kind = "registered files";
        ring.fd = syscall(SYS_io_uring_setup, ENTRIES, &params);
    }
    if (ring.fd < 0) stop("io_uring is not to be had here");
    size_t submit = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    size_t done = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    int shared = MAP_SHARED | MAP_POPULATE, both = PROT_READ | PROT_WRITE;
    char *s = mmap(NULL, submit, both, shared, ring.fd, IORING_OFF_SQ_RING);
    char *d = mmap(NULL, done, both, shared, ring.fd, IORING_OFF_CQ_RING);
    ring.entries = mmap(NULL, params.sq_entries * sizeof(struct io_uring_sqe), both, shared, ring.fd,
                        IORING_OFF_SQES);
    if (s == MAP_FAILED || d == MAP_FAILED || ring.entries == MAP_FAILED) stop("mmap");
    ring.submit_tail = (void *)(s + params.sq_off.tail);
    ring.submit_mask = (void *)(s + params.sq_off.ring_mask);
    ring.submit_array = (void *)(s + params.sq_off.array);
    ring.done_head = (void *)(d + params.cq_off.head);
    ring.done_tail = (void *)(d + params.cq_off.tail);
    ring.done_mask = (void *)(d + params.cq_off.ring_mask);
    ring.done = (void *)(d + params.cq_off.cqes);
    if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES, sockets, count))
        stop("io_uring_register");
    return kind;
}

// What a socket did not take: the trial must not measure that.
static long short_writes;

static void turn_by_send(void) {
    for (int i = 0; i < count; i++) {
        ssize_t wrote = send(sockets[i], payload, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        short_writes += wrote != (ssize_t)length;
    }
}

static void turn_by_ring(void) {
    unsigned tail = *ring.submit_tail;
    for (int i = 0; i < count; i++, tail++) {
        unsigned place = tail & *ring.submit_mask;
        struct io_uring_sqe *entry = &ring.entries[place];
        memset(entry, 0, sizeof *entry);
        entry->opcode = IORING_OP_SEND;
        entry->flags = IOSQE_FIXED_FILE;
        entry->fd = i;
        entry->addr = (uintptr_t)payload;
        entry->len = length;
        entry->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
        ring.submit_array[place] = place;
    }
    atomic_store_explicit((_Atomic unsigned *)ring.submit_tail, tail, memory_order_release);
    int left = count, submit = count;
    while (left > 0) {
        int took = syscall(SYS_io_uring_enter, ring.fd, submit, left, IORING_ENTER_GETEVENTS, NULL, 0);
        if (took < 0 && errno != EINTR) stop("io_uring_enter");
        submit -= took > 0 ? took : 0;
        unsigned head = *ring.done_head;
        unsigned end = atomic_load_explicit((_Atomic unsigned *)ring.done_tail, memory_order_acquire);
        for (; head != end; head++, left--)
            short_writes += ring.done[head & *ring.done_mask].res != (int)length;
        atomic_store_explicit((_Atomic unsigned *)ring.done_head, head, memory_order_release);
    }
}

// CPU of this process a write, in microseconds; the reader has time to come after.
static double block(void (*turn)(void)) {
    struct timespec rest = {.tv_nsec = 100 * 1000 * 1000};
    double used = 0;
    for (int i = 0; i < TURNS; i++) {
        double before = seconds(CLOCK_PROCESS_CPUTIME_ID);
        turn();
        used += seconds(CLOCK_PROCESS_CPUTIME_ID) - before;
    }
    nanosleep(&rest, NULL);
    return used * 1e6 / ((double)TURNS * count);
}

static int ascending(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static void row(const char *what, double *figures) {
    qsort(figures, PAIRS, sizeof *figures, ascending);
    printf("| %s | %.2f **%.2f** %.2f |\n", what, figures[0], figures[PAIRS / 2], figures[PAIRS - 1]);
}

int main(int words, char **word) {
    if (words > 1) count = atoi(word[1]);
    if (words > 2) length = atoi(word[2]);
    if (count < 1 || count > SOCKETS_MAX || length < 1 || length > sizeof payload) {
        fprintf(stderr, "usage: uring [SOCKETS, 1 to %d [BYTES, 1 to %zu]]\n", SOCKETS_MAX, sizeof payload);
        return 2;
    }
    struct rlimit files = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    pid_t child = make_sockets();
    pin(0);
    const char *kind = make_ring();
    block(turn_by_send);
    block(turn_by_ring);
    short_writes = 0;
    double sent[PAIRS], ringed[PAIRS], ratio[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        ringed[i] = block(turn_by_ring);
        sent[i] = block(turn_by_send);
        ratio[i] = ringed[i] / sent[i];
    }
    printf("%d sockets, %zu bytes each, a turn at a time; %s\n\n", count, length, kind);
    printf("| CPU a write | us, least **median** greatest of %d |\n|---|---|\n", PAIRS);
    row("send in a loop", sent);
    row("io_uring, one submission a turn", ringed);
    row("io_uring to send", ratio);
    if (short_writes) printf("\n%ld writes were not taken whole: the reader was behind\n", short_writes);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
