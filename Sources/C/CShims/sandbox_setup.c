// Between the monitor and the holder: control groups, the outer user namespace, mounts, network, then the clone that
// becomes the first process inside.
#define _GNU_SOURCE
#include "sandbox_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int to_monitor_fd, from_monitor_fd;

// One letter to the monitor and its one-letter answer: M = map my ids, N = connect my network, R = does it carry?,
// P = pid follows.
void setup_ask(int to_monitor, int from_monitor, char question) {
    char answer;
    write_all(to_monitor, &question, 1);
    read_exactly(from_monitor, &answer, 1, "the monitor");
    if (answer == 'k') return;
    errno = ENETDOWN;
    fail("start", "the network");
}

void setup_announce(int to_monitor, int from_monitor, pid_t pid) {
    char answer;
    write_all(to_monitor, "P", 1);
    write_all(to_monitor, (const char *)&pid, sizeof pid);
    read_exactly(from_monitor, &answer, 1, "the monitor");
}

static void ask(char question) { setup_ask(to_monitor_fd, from_monitor_fd, question); }

static void announce(pid_t pid) { setup_announce(to_monitor_fd, from_monitor_fd, pid); }

static void join_control_groups(const struct spec *spec) {
    for (size_t i = 0; i < spec->cgroup_count; i++) {
        int directory = open(spec->cgroups[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0) fail("open", spec->cgroups[i]);
        write_file(directory, "cgroup.procs", "0");
        close(directory);
    }
}

static void become(uint32_t id) {
    // Refused where the map has one id only; the supplementary groups are unmapped there and give nothing.
    if (setgroups(0, NULL) != 0 && errno != EPERM) fail("drop", "supplementary groups");
    if (setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0) fail("become", "the mapped user");
    // Otherwise /proc/PID belongs to the host's root and the id map of our child could not be written.
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void capabilities(bool raise_ambient) {
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0) fail("read", "capabilities");
    for (int i = 0; i < 2; i++) {
        data[i].effective = data[i].permitted;
        if (raise_ambient) data[i].inheritable = data[i].permitted;
    }
    if (syscall(SYS_capset, &header, data) != 0) fail("raise", "capabilities");
    if (!raise_ambient) return;
    for (unsigned long cap = 0; cap < 64; cap++)
        if (data[cap / 32].permitted & (1u << (cap % 32))) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
}

// The outer user namespace. In MODE_ROOT its owner is an id that nothing else on the host has.
static void enter_outer_namespace(const struct spec *spec) {
    if (spec->mode == MODE_ROOT) {
        if (setgroups(0, NULL) != 0 || setresgid((gid_t)-1, spec->owner, (gid_t)-1) != 0
            || setresuid((uid_t)-1, spec->owner, (uid_t)-1) != 0)
            fail("become", "the owner of the user namespace");
        capabilities(false); // cleared by the change of the effective id, still permitted
    }
    if (unshare(CLONE_NEWUSER) != 0) fail("make", "a user namespace");
    ask('M');
    become(0);
}

static void apply_limits(const struct spec *spec) {
    for (size_t i = 0; i < spec->limit_count; i++) {
        struct rlimit limit;
        if (getrlimit(spec->limits[i].resource, &limit) != 0) fail("read", "a limit");
        rlim_t value = spec->limits[i].value < limit.rlim_max ? spec->limits[i].value : limit.rlim_max;
        limit.rlim_cur = limit.rlim_max = value;
        if (setrlimit(spec->limits[i].resource, &limit) != 0) fail("set", "a limit");
    }
}

static _Noreturn void run(const struct spec *spec) {
    // A stop that comes before the holder listens must wait for it: the first process of a namespace drops a TERM that is
    // neither blocked nor handled. The holder reads it from a descriptor and gives its children an empty mask.
    sigset_t waiting;
    sigemptyset(&waiting);
    sigaddset(&waiting, SIGTERM);
    sigprocmask(SIG_SETMASK, &waiting, NULL);
    for (int signal_number = 1; signal_number < NSIG; signal_number++) signal(signal_number, SIG_DFL);
    umask(022);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        fail("open", "/dev/null");
    if (spec->cwd && chdir(spec->cwd) != 0) fail("enter", spec->cwd);
    apply_limits(spec);
    // Everything else goes; the report descriptor closes itself at exec, which tells the monitor that it worked.
    if (dup3(report_fd, 3, O_CLOEXEC) < 0 && errno != EINVAL) fail("keep", "the report");
    report_fd = 3;
    if (syscall(SYS_close_range, 4, ~0u, 0) != 0) fail("close", "descriptors");
    fcntl(3, F_SETFD, FD_CLOEXEC);
    execve(spec->arguments[0], spec->arguments, spec->environment);
    fail("start", spec->arguments[0]);
}

static _Noreturn void first_process(const struct spec *spec, int mapped) {
    char byte;
    read_exactly(mapped, &byte, 1, "the id map");
    setsid();
    if (spec->hostname && sethostname(spec->hostname, strlen(spec->hostname)) != 0) fail("set", "the host name");
    become(spec->user);
    enter_root(spec);
    read_exactly(mapped, &byte, 1, "the network");
    // A session keyring is inherited: without one of its own the inside would hold the keys of the server's login.
    syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
    filter_system_calls();
    if (spec->user != 0) capabilities(true);
    run(spec);
}

_Noreturn void setup(const struct spec *spec, int to_monitor, int from_monitor) {
    to_monitor_fd = to_monitor;
    from_monitor_fd = from_monitor;
    join_control_groups(spec);
    if (spec->mode == MODE_HOST) {
        setsid();
        announce(getpid());
        run(spec);
    }
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) fail("open", "/proc");
    if (spec->mode == MODE_USER) enter_outer_namespace(spec);
    if (unshare(CLONE_NEWNS) != 0) fail("make", "a mount namespace");
    build_root(spec, proc);
    if (spec->mode == MODE_ROOT) enter_outer_namespace(spec);
    prepare_network(spec, proc);
    if (spec->network) ask('N');
    int mapped[2];
    if (pipe2(mapped, O_CLOEXEC) != 0) fail("make", "a pipe");
    unsigned long flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    pid_t child = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        close(mapped[1]);
        first_process(spec, mapped[0]);
    }
    if (child < 0) fail("make", "the namespaces of the inside");
    write_maps(proc, child, spec->inner, spec->inner_count);
    announce(child);
    write_all(mapped[1], "g", 1);
    // The network starts while the first process builds its root.
    if (spec->network) ask('R');
    write_all(mapped[1], "n", 1);
    _exit(0);
}
