// The monitor: starts the setup process, writes the instance's record before anything runs inside, answers, then waits
// for the holder, restarts the network when that dies, and clears away what the holder leaves.
#define _GNU_SOURCE
#include "include/sandbox.h"
#include "sandbox_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NETWORK_RESTARTS = 20, NETWORK_DEADLINE_MS = 5000 };

struct monitor {
    struct spec spec;
    int directory;
    pid_t holder, network;
    int user_namespace, network_namespace;
    int network_restarts;
    int network_ready; // readable when the network carries
    int worker_gate;
};

static void write_record(const struct monitor *monitor, const char *name, const char *text) {
    char part[64];
    snprintf(part, sizeof part, "%s.part", name);
    int fd = openat(monitor->directory, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) fail("write", name);
    write_all(fd, text, strlen(text));
    close(fd);
    if (renameat(monitor->directory, part, monitor->directory, name) != 0) fail("write", name);
}

static void boot_id(char *text, size_t size) {
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? 0 : read(fd, text, size - 1);
    text[count < 0 ? 0 : count] = 0;
    text[strcspn(text, "\n")] = 0;
    if (fd >= 0) close(fd);
}

// What a later server finds the instance by: pids count only with their start times, and only in this boot.
static void write_instance(const struct monitor *monitor) {
    char text[512], boot[64];
    boot_id(boot, sizeof boot);
    int length = snprintf(text, sizeof text, "instance %s\nboot %s\nmonitor %d %llu\nholder %d %llu\n",
                          monitor->spec.instance, boot, getpid(), start_time(getpid()), monitor->holder,
                          start_time(monitor->holder));
    if (monitor->network > 0)
        snprintf(text + length, sizeof text - (size_t)length, "network %d %llu\n", monitor->network,
                 start_time(monitor->network));
    write_record(monitor, "instance", text);
}

static void write_exit(const struct monitor *monitor, int status) {
    char text[256];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    bool signalled = WIFSIGNALED(status);
    snprintf(text, sizeof text, "instance %s\n%s %d\nat %lld\n", monitor->spec.instance, signalled ? "signal" : "code",
             signalled ? WTERMSIG(status) : WEXITSTATUS(status),
             (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    write_record(monitor, "exit", text);
}

static void remove_control_groups(const struct spec *spec) {
    const struct timespec moment = { .tv_nsec = 5000000 };
    for (size_t i = 0; i < spec->cgroup_count; i++)
        for (int attempt = 0; attempt < 200 && rmdir(spec->cgroups[i]) != 0 && errno == EBUSY; attempt++)
            nanosleep(&moment, NULL); // the last processes are still being torn down
}

static void end_network(struct monitor *monitor) {
    if (monitor->network <= 0) return;
    kill(monitor->network, SIGKILL);
    waitpid(monitor->network, NULL, 0);
    monitor->network = 0;
}

// As subreaper the monitor inherits whatever the holder leaves; inside a pid namespace the kernel has killed it already.
static void end_leftovers(void) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    for (;;) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t count = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
        if (fd >= 0) close(fd);
        if (count > 0) {
            text[count] = 0;
            for (char *next = text, *end; *next; next = end) {
                long pid = strtol(next, &end, 10);
                if (end == next) break;
                if (pid > 0) kill((pid_t)pid, SIGKILL);
            }
        }
        if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD) return;
    }
}

static void open_namespaces(struct monitor *monitor, pid_t pid) {
    char path[64];
    if (monitor->spec.mode != MODE_CONTAINER) {
        snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
        monitor->user_namespace = open(path, O_RDONLY | O_CLOEXEC);
        if (monitor->user_namespace < 0) fail("open", path);
    }
    snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
    monitor->network_namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (monitor->network_namespace < 0) fail("open", path);
}

static void map_ids(const struct spec *spec, pid_t pid) {
    if (spec->mode == MODE_USER) {
        write_maps_by_tool(pid, spec->outer, spec->outer_count);
        return;
    }
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) fail("open", "/proc");
    write_maps(proc, pid, spec->outer, spec->outer_count);
    close(proc);
}

static void start_or_restart_network(struct monitor *monitor) {
    if (monitor->network_ready >= 0) close(monitor->network_ready);
    monitor->network =
        start_network(&monitor->spec, monitor->user_namespace, monitor->network_namespace, &monitor->network_ready);
}

// Nothing may run inside before the ports that it was promised listen.
static bool network_carries(struct monitor *monitor) {
    struct pollfd wait = { .fd = monitor->network_ready, .events = POLLIN };
    int count;
    do count = poll(&wait, 1, NETWORK_DEADLINE_MS);
    while (count < 0 && errno == EINTR);
    char pid[16];
    bool carries = count == 1 && read(monitor->network_ready, pid, sizeof pid) > 0;
    close(monitor->network_ready);
    monitor->network_ready = -1;
    return carries;
}

// Serves the setup process until it has ended; what it could not do is in the report.
static void serve(struct monitor *monitor, pid_t child, int from_child, int to_child) {
    char question;
    while (read(from_child, &question, 1) == 1) {
        const char *answer = "k";
        if (question == 'M') map_ids(&monitor->spec, child);
        if (question == 'N') {
            open_namespaces(monitor, monitor->spec.mode == MODE_CONTAINER ? monitor->holder : child);
            start_or_restart_network(monitor);
            if (monitor->holder > 0) write_instance(monitor);
        }
        if (question == 'G') monitor->worker_gate = open_gate(&monitor->spec);
        if (question == 'R' && !network_carries(monitor)) answer = "x";
        if (question == 'P') {
            read_exactly(from_child, &monitor->holder, sizeof monitor->holder, "a pid");
            write_instance(monitor);
        }
        write_all(to_child, answer, 1);
    }
}

static void give_up(struct monitor *monitor, const char *report) {
    if (monitor->holder > 0) kill(monitor->holder, SIGKILL);
    end_network(monitor);
    end_leftovers();
    remove_control_groups(&monitor->spec);
    // A container that never came leaves the last one's record.
    if (monitor->holder > 0 || monitor->spec.mode != MODE_CONTAINER) unlinkat(monitor->directory, "instance", 0);
    write_all(STDOUT_FILENO, report, strlen(report));
    _exit(71);
}

static void launch(struct monitor *monitor) {
    int report[2], up[2], down[2];
    if (pipe2(report, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0 || pipe2(down, O_CLOEXEC) != 0)
        fail("make", "pipes");
    pid_t child = fork();
    if (child < 0) fail("fork", "the setup process");
    if (child == 0) {
        report_fd = report[1];
        close(report[0]);
        close(up[0]);
        close(down[1]);
        if (monitor->spec.mode == MODE_CONTAINER) container_setup(&monitor->spec, up[1], down[0]);
        setup(&monitor->spec, up[1], down[0]);
    }
    close(report[1]);
    close(up[1]);
    close(down[0]);
    serve(monitor, child, up[0], down[1]);
    close(up[0]);
    close(down[1]);
    char text[1024];
    size_t length = 0;
    for (ssize_t count; length < sizeof text - 1
                        && (count = read(report[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)count;
    text[length] = 0;
    close(report[0]);
    if (length > 0) give_up(monitor, text);
    if (monitor->holder == 0) give_up(monitor, "error 0 set up: the setup process died\n");
}

static void answer(const struct monitor *monitor) {
    char line[64];
    int length = snprintf(line, sizeof line, "ok %d %llu\n", monitor->holder, start_time(monitor->holder));
    write_all(STDOUT_FILENO, line, (size_t)length);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    close(null);
}

// The container's first process is the engine's child, so it is watched by a descriptor; how it ended, the engine knows.
static void watch_container(struct monitor *monitor) {
    int holder = (int)syscall(SYS_pidfd_open, monitor->holder, 0);
    while (holder >= 0) {
        int network = monitor->network > 0 ? (int)syscall(SYS_pidfd_open, monitor->network, 0) : -1;
        struct pollfd wait[] = { { .fd = holder, .events = POLLIN }, { .fd = network, .events = POLLIN } };
        int count;
        do count = poll(wait, 2, -1);
        while (count < 0 && errno == EINTR);
        if (network >= 0) close(network);
        if (wait[0].revents || count < 0) break;
        waitpid(monitor->network, NULL, 0);
        monitor->network = 0;
        if (monitor->network_restarts++ >= NETWORK_RESTARTS) continue;
        start_or_restart_network(monitor);
        write_instance(monitor);
    }
    end_network(monitor);
}

static void watch(struct monitor *monitor) {
    for (;;) {
        int status;
        pid_t ended = waitpid(-1, &status, 0);
        if (ended < 0 && errno == EINTR) continue;
        if (ended < 0) return;
        if (ended == monitor->holder) {
            end_network(monitor);
            end_leftovers();
            remove_control_groups(&monitor->spec);
            write_exit(monitor, status);
            return;
        }
        if (ended == monitor->network && monitor->network_restarts++ < NETWORK_RESTARTS) {
            start_or_restart_network(monitor);
            write_instance(monitor);
        }
    }
}

static void remove_in_namespace(const struct spec *spec) {
    if (spec->mode == MODE_USER) {
        int up[2], down[2];
        char byte = 'k';
        if (pipe2(up, O_CLOEXEC) != 0 || pipe2(down, O_CLOEXEC) != 0) fail("make", "pipes");
        pid_t parent = getpid(), child = fork();
        if (child < 0) fail("fork", "the mapper");
        if (child == 0) {
            // Maps must come from outside the namespace, so this child stays there and maps its parent.
            read_exactly(up[0], &byte, 1, "the namespace");
            write_maps_by_tool(parent, spec->outer, spec->outer_count);
            write_all(down[1], "k", 1);
            _exit(0);
        }
        if (unshare(CLONE_NEWUSER) != 0) fail("make", "a user namespace");
        write_all(up[1], "k", 1);
        close(down[1]);
        read_exactly(down[0], &byte, 1, "the id map");
        if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) fail("become", "the mapped user");
    }
    for (size_t i = 0; i < spec->removal_count; i++) remove_tree(spec->removals[i]);
    write_all(STDOUT_FILENO, "ok 0 0\n", 7);
}

// Held by the monitor alone for as long as the instance lives: one instance per environment. One that was given up a
// moment ago may still be on its way out.
static void take_lock(const struct monitor *monitor) {
    const struct timespec moment = { .tv_nsec = 5000000 };
    int lock = openat(monitor->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) fail("lock", monitor->spec.directory);
    for (int attempt = 0; flock(lock, LOCK_EX | LOCK_NB) != 0; attempt++) {
        if (errno != EWOULDBLOCK || attempt == 200) fail("lock", monitor->spec.directory);
        nanosleep(&moment, NULL);
    }
}

int berth_sandbox_main(void) {
    static struct monitor monitor = { .network_ready = -1, .user_namespace = -1 };
    struct spec *spec = &monitor.spec;
    spec_read(spec);
    monitor.directory = open(spec->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (monitor.directory < 0) fail("open", spec->directory);
    take_lock(&monitor);
    if (spec->removal_count > 0) {
        remove_in_namespace(spec);
        return 0;
    }
    unlinkat(monitor.directory, "exit", 0);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) fail("become", "subreaper");
    signal(SIGPIPE, SIG_IGN);
    launch(&monitor);
    if (spec->mode == MODE_CONTAINER) open_worker_gate(spec, monitor.worker_gate);
    answer(&monitor);
    if (spec->mode == MODE_CONTAINER) watch_container(&monitor);
    else watch(&monitor);
    return 0;
}
