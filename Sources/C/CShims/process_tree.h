#ifndef BERTH_PROCESS_TREE_H
#define BERTH_PROCESS_TREE_H
#include <sys/types.h>

struct process_list {
    pid_t *pids;
    int count;
    int capacity;
};

/// All descendants of `root` by one walk over /proc; neither `root` nor a spared process and what is under it is among
/// them. 0 or -errno.
int process_descendants(pid_t root, const struct process_list *spared, struct process_list *result);
int process_list_contains(const struct process_list *list, pid_t pid);
void process_list_free(struct process_list *list);

/// One round of ending the tree under `root`: stop everything until a walk finds nothing new, then kill it.
/// Stopping first keeps a tree that forks faster than we walk from outrunning us. Returns how many were hit.
int process_kill_descendants(pid_t root, const struct process_list *spared);

/// Signals every descendant of `root`.
void process_signal_descendants(pid_t root, int signal);
#endif
