// The holder's low-level half. Decisions are made in Swift (Sources/Holder); here are fork, exec, and the guardian, a
// small process between the holder and one child that owns the child's whole process tree.
#ifndef BERTH_HOLDER_H
#define BERTH_HOLDER_H

#include <stdint.h>
#include <sys/types.h>

/// Where a spawn failed; goes over the wire, so values never change.
enum berth_spawn_step {
    BERTH_STEP_NONE = 0,
    BERTH_STEP_FORK = 1,
    BERTH_STEP_TERMINAL = 2,
    BERTH_STEP_STDIO = 3,
    BERTH_STEP_LIMITS = 4,
    BERTH_STEP_HIDE = 5,
    BERTH_STEP_PRIVILEGES = 6,
    BERTH_STEP_DIRECTORY = 7,
    BERTH_STEP_EXEC = 8,
};

enum berth_privileges {
    BERTH_PRIVILEGES_DROP = 0,
    BERTH_PRIVILEGES_KEEP = 1,
    BERTH_PRIVILEGES_ADMINISTER = 2,
};

/// What one child is to be. Pointers are borrowed for the call. Limits of -1 are left as they are.
struct berth_spawn {
    char *const *argv;
    char *const *envp;
    const char *directory;
    /// Become 0, 1 and 2 of the child; for a terminal all three are its slave.
    int stdio[3];
    int is_terminal;
    int set_ids;
    uint32_t uid;
    uint32_t gid;
    int oom_score_adj;
    int64_t max_processes;
    int64_t max_files;
    int64_t max_address_space;
    char *const *hide;
    int privileges;
    int reaps_tree;
};

enum berth_order_kind { BERTH_ORDER_SIGNAL = 1, BERTH_ORDER_TERMINATE = 2 };
enum berth_scope { BERTH_SCOPE_MAIN = 0, BERTH_SCOPE_GROUP = 1, BERTH_SCOPE_TREE = 2 };

/// Holder to guardian, one datagram each. `value` is a signal number, or the grace in milliseconds.
struct berth_order {
    uint32_t kind;
    int32_t value;
    uint32_t scope;
};

enum berth_report_kind { BERTH_REPORT_STARTED = 1, BERTH_REPORT_FAILED = 2, BERTH_REPORT_EXITED = 3 };

/// Guardian to holder, one datagram each. `status` is wait(2)'s.
struct berth_report {
    uint32_t kind;
    int32_t pid;
    int32_t step;
    int32_t error;
    int32_t status;
    int32_t has_leftovers;
    uint64_t user_microseconds;
    uint64_t system_microseconds;
    uint64_t max_rss_kilobytes;
};

/// Forks the guardian of one child; it reports over `control` (a SOCK_SEQPACKET end) and ends when the tree is gone.
/// The caller must have no other thread. Returns the guardian's pid or -errno.
pid_t berth_start_guardian(const struct berth_spawn *spawn, int control);

/// Starts the worker as a direct child in a new session with default signals and only 0, 1, 2 open. pid or -errno.
pid_t berth_start_worker(char *const *argv, char *const *envp);

/// Blocks SIGCHLD, SIGTERM, SIGINT, SIGHUP and returns a non-blocking descriptor that reads them, or -errno.
int berth_signal_descriptor(void);
/// The next waiting signal's number, 0 when there is none.
int berth_next_signal(int descriptor);

/// Makes this process a subreaper that its children can neither trace nor read through /proc. 0 or -errno.
int berth_protect(void);

/// Lets this process open as many descriptors as it may; its children get the limit it was started with.
void berth_raise_descriptor_limit(void);

/// Closes every inherited descriptor from 3 on except `kept` (-1 for none).
void berth_close_inherited(int kept);

/// Prepares, once, the mount namespace in which `paths` are covered, so that a child only enters it. Before
/// `berth_protect`, and with the signal mask of a plain program. Where it fails each child makes its own.
void berth_prepare_hidden(char *const *paths);

/// 1 when this process may mount in its user namespace.
int berth_can_mount(void);

/// A new terminal: `*master` is non-blocking, both are close-on-exec. 0 or -errno.
int berth_open_terminal(uint16_t columns, uint16_t rows, int *master, int *slave);
int berth_resize_terminal(int master, uint16_t columns, uint16_t rows);

/// Kills every direct child of this process that is not in `kept` (sorted ascending), with its descendants, once.
/// Returns how many were hit.
int berth_kill_strays(const pid_t *kept, int count);

/// A pipe whose ends are close-on-exec and non-blocking, of `capacity` bytes where the user's share allows it. 0 or -errno.
int berth_open_pipe(int ends[2], int capacity);

/// The uid at the other end of a unix socket, or -1.
int64_t berth_peer_uid(int socket);

#endif
