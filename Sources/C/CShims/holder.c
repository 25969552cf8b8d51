#define _GNU_SOURCE
#include "holder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "child.h"
#include "process_tree.h"

pid_t berth_start_worker(char *const *argv, char *const *envp) {
    pid_t holder = getpid();
    pid_t pid = fork();
    if (pid != 0) return pid < 0 ? -errno : pid;
    setsid();
    child_reset_signals();
    if (child_file_limit.rlim_cur > 0) setrlimit(RLIMIT_NOFILE, &child_file_limit);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != holder) _exit(127);
    int null = open("/dev/null", O_RDONLY);
    if (null > 0) dup2(null, 0);
    child_close_from(3);
    execve(argv[0], argv, envp);
    static const char text[] = "berth-hold: the worker program cannot be executed\n";
    ssize_t ignored = write(2, text, sizeof text - 1);
    (void)ignored;
    _exit(127);
}

int berth_signal_descriptor(void) {
    sigset_t waited;
    sigemptyset(&waited);
    sigaddset(&waited, SIGCHLD);
    sigaddset(&waited, SIGTERM);
    sigaddset(&waited, SIGINT);
    sigaddset(&waited, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &waited, NULL) < 0) return -errno;
    signal(SIGPIPE, SIG_IGN);
    int descriptor = signalfd(-1, &waited, SFD_CLOEXEC | SFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}

int berth_next_signal(int descriptor) {
    struct signalfd_siginfo info;
    return read(descriptor, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

int berth_protect(void) {
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) return -errno;
    return prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}

void berth_raise_descriptor_limit(void) {
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur == now.rlim_max) return;
    struct rlimit raised = {.rlim_cur = now.rlim_max, .rlim_max = now.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) child_file_limit = now;
}

void berth_close_inherited(int kept) {
    int moved = kept < 0 ? -1 : dup2(kept, 3);
    child_close_from(moved == 3 ? 4 : 3);
    // Under its own number again, as its owner knows it.
    if (moved == 3 && kept != 3 && dup2(3, kept) == kept) close(3);
}

int berth_can_mount(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &header, data) < 0) return 0;
    return (data[0].effective >> CAP_SYS_ADMIN) & 1;
}

int berth_resize_terminal(int master, uint16_t columns, uint16_t rows) {
    struct winsize size = {.ws_col = columns, .ws_row = rows};
    return ioctl(master, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

int berth_open_terminal(uint16_t columns, uint16_t rows, int *master, int *slave) {
    int opened = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (opened < 0) return -errno;
    int unlocked = 0;
    // TIOCGPTPEER needs no path, so it works whatever /dev/pts shows.
    int peer = ioctl(opened, TIOCSPTLCK, &unlocked) < 0 ? -1 : ioctl(opened, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (peer < 0) {
        int error = errno;
        close(opened);
        return -error;
    }
    struct termios settings;
    if (tcgetattr(peer, &settings) == 0) {
        settings.c_iflag |= IUTF8;
        tcsetattr(peer, TCSANOW, &settings);
    }
    berth_resize_terminal(opened, columns, rows);
    *master = opened;
    *slave = peer;
    return 0;
}

int berth_kill_strays(const pid_t *kept, int count) {
    struct process_list spared = {.pids = (pid_t *)kept, .count = count, .capacity = count};
    return process_kill_descendants(getpid(), &spared);
}

int berth_open_pipe(int ends[2], int capacity) {
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
    fcntl(ends[0], F_SETPIPE_SZ, capacity);
    return 0;
}

int64_t berth_peer_uid(int socket) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ? -1 : (int64_t)peer.uid;
}
