#define _GNU_SOURCE
#include "include/launch.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Between fork and exec of a program with threads: async-signal-safe calls only.
static _Noreturn void become(const char *program, int streams[3], int report) {
    int number = 0;
    pid_t self = 0;
    char *arguments[] = { (char *)program, "sandbox", NULL };
    char *environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
    setsid();
    // A second fork: the first child ends at once and is reaped, so the server never has to wait for a monitor.
    self = fork();
    if (self != 0) {
        number = self < 0 ? -errno : self;
        (void)!write(report, &number, sizeof number);
        _exit(0);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int signal_number = 1; signal_number < NSIG; signal_number++) signal(signal_number, SIG_DFL);
    // Moved up first, so that no stream is overwritten before it is copied.
    for (int i = 0; i < 3; i++) streams[i] = fcntl(streams[i], F_DUPFD, 3);
    for (int i = 0; i < 3; i++)
        if (dup2(streams[i], i) < 0) _exit(127);
    syscall(SYS_close_range, 3, ~0u, 0);
    (void)!chdir("/");
    execve(program, arguments, environment);
    _exit(127);
}

static void close_pair(int pair[2]) {
    close(pair[0]);
    close(pair[1]);
}

pid_t berth_launch(const char *program, int errors, int *input, int *output) {
    int report[2], in[2], out[2], answer = -EPIPE;
    if (access(program, X_OK) != 0) return -errno;
    if (pipe2(report, O_CLOEXEC) != 0) return -errno;
    if (pipe2(in, O_CLOEXEC) != 0) {
        answer = -errno;
        close_pair(report);
        return answer;
    }
    if (pipe2(out, O_CLOEXEC) != 0) {
        answer = -errno;
        close_pair(report);
        close_pair(in);
        return answer;
    }
    int streams[3] = { in[0], out[1], errors >= 0 ? errors : out[1] };
    pid_t child = fork();
    if (child == 0) become(program, streams, report[1]);
    if (child < 0) answer = -errno;
    close(report[1]);
    close(in[0]);
    close(out[1]);
    if (child > 0) {
        ssize_t count;
        do count = read(report[0], &answer, sizeof answer);
        while (count < 0 && errno == EINTR);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    }
    close(report[0]);
    if (answer > 0) {
        *input = in[1];
        *output = out[0];
    } else {
        close(in[1]);
        close(out[0]);
    }
    return answer;
}

int berth_process_open(pid_t pid) {
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : fd;
}

int berth_process_signal(int process, int signal_number) {
    return syscall(SYS_pidfd_send_signal, process, signal_number, NULL, 0) < 0 ? -errno : 0;
}

void berth_processor_ticks(uint64_t *ticks, uint64_t *nanoseconds) {
    *ticks = *nanoseconds = 0;
#if defined(__x86_64__)
    uint64_t narrowest = UINT64_MAX;
    // The reading that took the least was not interrupted.
    for (int i = 0; i < 16; i++) {
        struct timespec now;
        uint64_t before = __builtin_ia32_rdtsc();
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t after = __builtin_ia32_rdtsc();
        if (after - before >= narrowest) continue;
        narrowest = after - before;
        *ticks = before + narrowest / 2;
        *nanoseconds = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    }
#endif
}
