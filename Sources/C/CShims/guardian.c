// The guardian: parent and subreaper of one child. Everything the child starts, however it detaches itself, becomes the
// guardian's when its own parent dies, so "no child left" (ECHILD) means that the whole tree is gone.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "holder.h"
#include "process_tree.h"

// How long an end waits for leftovers that SIGKILL does not remove (uninterruptible sleep) before it is reported.
enum { LEFTOVER_PATIENCE_MS = 2000, KILL_ROUND_MIN_MS = 2, KILL_ROUND_MAX_MS = 100 };

struct guardian {
    pid_t self;
    pid_t main;
    int control;
    int signals;
    int exec_error;
    int reaps_tree;
    int is_terminal;
    int main_is_alive;
    int tree_is_empty;
    int is_started;
    int is_reported;
    int is_terminating;
    int is_killing;
    int64_t kill_at_ms;
    int64_t killing_since_ms;
    int kill_round_ms;
    int status;
    struct rusage usage;
};

static int64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static uint64_t microseconds(struct timeval time) {
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

static void report(struct guardian *guardian, struct berth_report message) {
    message.pid = guardian->main;
    while (send(guardian->control, &message, sizeof message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

static void reap(struct guardian *guardian) {
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid == 0) return;
        if (pid < 0) {
            if (errno == EINTR) continue;
            guardian->tree_is_empty = errno == ECHILD;
            return;
        }
        if (pid != guardian->main) continue;
        guardian->main_is_alive = 0;
        guardian->status = status;
        guardian->usage = usage;
    }
}

static void start_killing(struct guardian *guardian) {
    if (guardian->is_killing) return;
    guardian->is_killing = 1;
    guardian->killing_since_ms = now_ms();
    guardian->kill_round_ms = KILL_ROUND_MIN_MS;
}

static void obey(struct guardian *guardian, struct berth_order order) {
    if (order.kind == BERTH_ORDER_SIGNAL) {
        if (order.scope == BERTH_SCOPE_TREE) {
            process_signal_descendants(guardian->self, order.value);
        } else if (guardian->main_is_alive) {
            // The main process is our unreaped child and leads its group, so neither number can have been reused.
            kill(order.scope == BERTH_SCOPE_GROUP ? -guardian->main : guardian->main, order.value);
        }
        return;
    }
    if (order.value <= 0) {
        guardian->is_terminating = 1;
        start_killing(guardian);
        return;
    }
    int64_t kill_at = now_ms() + order.value;
    if (guardian->is_terminating) {
        if (kill_at < guardian->kill_at_ms) guardian->kill_at_ms = kill_at;
        return;
    }
    guardian->is_terminating = 1;
    guardian->kill_at_ms = kill_at;
    process_signal_descendants(guardian->self, SIGTERM);
    // Interactive shells ignore SIGTERM; a terminal that goes away is what ends them.
    if (guardian->is_terminal) process_signal_descendants(guardian->self, SIGHUP);
    process_signal_descendants(guardian->self, SIGCONT);
}

static void read_exec_result(struct guardian *guardian) {
    struct child_failure failure = {0};
    ssize_t length;
    do length = read(guardian->exec_error, &failure, sizeof failure);
    while (length < 0 && errno == EINTR);
    close(guardian->exec_error);
    guardian->exec_error = -1;
    if (length == sizeof failure) {
        // Nothing was executed; the child only reports and ends.
        while (waitpid(guardian->main, NULL, 0) < 0 && errno == EINTR) {
        }
        report(guardian, (struct berth_report){.kind = BERTH_REPORT_FAILED, .step = failure.step, .error = failure.error});
        _exit(0);
    }
    guardian->is_started = 1;
    report(guardian, (struct berth_report){.kind = BERTH_REPORT_STARTED});
}

static void report_exit(struct guardian *guardian) {
    guardian->is_reported = 1;
    report(
        guardian,
        (struct berth_report){
            .kind = BERTH_REPORT_EXITED,
            .status = guardian->status,
            .has_leftovers = !guardian->tree_is_empty,
            .user_microseconds = microseconds(guardian->usage.ru_utime),
            .system_microseconds = microseconds(guardian->usage.ru_stime),
            .max_rss_kilobytes = (uint64_t)guardian->usage.ru_maxrss,
        }
    );
}

// What the present state asks for. Returns the milliseconds until it must be asked again, -1 for "on an event".
static int advance(struct guardian *guardian) {
    if (!guardian->is_started) return -1;
    if (guardian->tree_is_empty) {
        if (!guardian->is_reported) report_exit(guardian);
        _exit(0);
    }
    if (!guardian->main_is_alive && guardian->reaps_tree && !guardian->is_terminating) start_killing(guardian);
    if (!guardian->main_is_alive && !guardian->reaps_tree && !guardian->is_reported) report_exit(guardian);
    if (guardian->is_terminating && !guardian->is_killing) {
        int64_t left = guardian->kill_at_ms - now_ms();
        if (left > 0) return (int)left;
        start_killing(guardian);
    }
    if (!guardian->is_killing) return -1;
    process_kill_descendants(guardian->self, NULL);
    if (!guardian->is_reported && !guardian->main_is_alive
        && now_ms() - guardian->killing_since_ms > LEFTOVER_PATIENCE_MS)
        report_exit(guardian);
    int wait = guardian->kill_round_ms;
    guardian->kill_round_ms = wait * 2 < KILL_ROUND_MAX_MS ? wait * 2 : KILL_ROUND_MAX_MS;
    return wait;
}

static void drain_signals(struct guardian *guardian) {
    struct signalfd_siginfo info;
    while (read(guardian->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGTERM) obey(guardian, (struct berth_order){.kind = BERTH_ORDER_TERMINATE, .value = 0});
    }
}

static void drain_orders(struct guardian *guardian) {
    struct berth_order order;
    for (;;) {
        ssize_t length = recv(guardian->control, &order, sizeof order, MSG_DONTWAIT);
        if (length == sizeof order) {
            obey(guardian, order);
        } else if (length < 0 && errno == EINTR) {
            continue;
        } else {
            // The holder is gone: its children end with it.
            if (length == 0 || (length < 0 && errno != EAGAIN)) {
                guardian->is_terminating = 1;
                start_killing(guardian);
                close(guardian->control);
                guardian->control = -1;
            }
            return;
        }
    }
}

static void run(struct guardian *guardian) {
    for (;;) {
        reap(guardian);
        // The exec result comes before the exit: the pipe is readable by the time the child can be reaped.
        if (guardian->exec_error >= 0 && !guardian->main_is_alive) read_exec_result(guardian);
        int timeout = advance(guardian);
        struct pollfd watched[3] = {
            {.fd = guardian->signals, .events = POLLIN},
            {.fd = guardian->control, .events = POLLIN},
            {.fd = guardian->exec_error, .events = POLLIN},
        };
        if (poll(watched, 3, timeout) < 0) continue;
        if (watched[2].revents) read_exec_result(guardian);
        if (watched[0].revents) drain_signals(guardian);
        if (watched[1].revents) drain_orders(guardian);
    }
}

static _Noreturn void guard(const struct berth_spawn *spawn, int control, pid_t holder) {
    struct guardian guardian = {
        .self = getpid(), .main_is_alive = 1, .control = 3, .exec_error = 4, .reaps_tree = spawn->reaps_tree,
        .is_terminal = spawn->is_terminal
    };
    prctl(PR_SET_NAME, "berth-guardian");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setsid();
    int error_pipe[2];
    struct berth_report failure = {.kind = BERTH_REPORT_FAILED, .step = BERTH_STEP_FORK};
    if (getppid() != holder) _exit(0);
    guardian.main = pipe2(error_pipe, O_CLOEXEC) < 0 ? -1 : fork();
    if (guardian.main == 0) child_become(spawn, error_pipe[1]);
    if (guardian.main < 0) {
        failure.error = errno;
        send(control, &failure, sizeof failure, MSG_NOSIGNAL);
        _exit(1);
    }
    // Only 0, 1, 2, the control socket (3) and the exec result (4) stay: a guardian must hold no pipe of any child.
    int high = fcntl(error_pipe[0], F_DUPFD_CLOEXEC, 5);
    int high_control = fcntl(control, F_DUPFD_CLOEXEC, 5);
    dup2(high_control, 3);
    dup2(high, 4);
    child_close_from(5);
    sigset_t waited;
    sigemptyset(&waited);
    sigaddset(&waited, SIGCHLD);
    sigaddset(&waited, SIGTERM);
    sigset_t everything;
    sigfillset(&everything);
    sigprocmask(SIG_SETMASK, &everything, NULL);
    guardian.signals = signalfd(-1, &waited, SFD_CLOEXEC | SFD_NONBLOCK);
    run(&guardian);
    _exit(0);
}

pid_t berth_start_guardian(const struct berth_spawn *spawn, int control) {
    pid_t holder = getpid();
    pid_t pid = fork();
    if (pid == 0) guard(spawn, control, holder);
    return pid < 0 ? -errno : pid;
}
