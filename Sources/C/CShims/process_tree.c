#define _GNU_SOURCE
#include "process_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct process_pair {
    pid_t pid;
    pid_t parent;
    int is_descendant;
};

static int list_append(struct process_list *list, pid_t pid) {
    if (list->count == list->capacity) {
        int capacity = list->capacity ? list->capacity * 2 : 64;
        pid_t *grown = realloc(list->pids, (size_t)capacity * sizeof(pid_t));
        if (!grown) return -ENOMEM;
        list->pids = grown;
        list->capacity = capacity;
    }
    list->pids[list->count++] = pid;
    return 0;
}

void process_list_free(struct process_list *list) {
    free(list->pids);
    memset(list, 0, sizeof *list);
}

int process_list_contains(const struct process_list *list, pid_t pid) {
    for (int index = 0; index < list->count; index++)
        if (list->pids[index] == pid) return 1;
    return 0;
}

// The parent's pid from /proc/PID/stat, or -1 when the process is gone. The name in parentheses may itself hold any
// character, so the fields are read after the last ')'. Zombies count: one may still have running threads.
static pid_t parent_of(const char *name) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", name);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    ssize_t length = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    if (length <= 0) return -1;
    text[length] = 0;
    char *end = strrchr(text, ')');
    char state;
    int parent;
    if (!end || sscanf(end + 1, " %c %d", &state, &parent) != 2) return -1;
    return parent;
}

static int compare_pairs(const void *left, const void *right) {
    pid_t a = ((const struct process_pair *)left)->pid, b = ((const struct process_pair *)right)->pid;
    return (a > b) - (a < b);
}

struct process_walk {
    struct process_pair *pairs;
    int count;
    pid_t root;
    const struct process_list *spared;
};

static int is_descendant(const struct process_walk *walk, struct process_pair *pair, int depth) {
    if (pair->is_descendant) return pair->is_descendant;
    int result = -1;
    if (walk->spared && process_list_contains(walk->spared, pair->pid)) {
        result = -1;
    } else if (pair->parent == walk->root) {
        result = 1;
    } else if (depth < 4096) {
        struct process_pair wanted = {.pid = pair->parent};
        struct process_pair *parent = bsearch(&wanted, walk->pairs, (size_t)walk->count, sizeof *parent, compare_pairs);
        if (parent) result = is_descendant(walk, parent, depth + 1);
    }
    pair->is_descendant = result;
    return result;
}

int process_descendants(pid_t root, const struct process_list *spared, struct process_list *result) {
    DIR *directory = opendir("/proc");
    if (!directory) return -errno;
    struct process_pair *pairs = NULL;
    int count = 0, capacity = 0, failure = 0;
    for (struct dirent *entry; !failure && (entry = readdir(directory));) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
        pid_t parent = parent_of(entry->d_name);
        if (parent < 0) continue;
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 256;
            struct process_pair *grown = realloc(pairs, (size_t)capacity * sizeof *pairs);
            if (!grown) {
                failure = -ENOMEM;
                break;
            }
            pairs = grown;
        }
        pairs[count++] = (struct process_pair){.pid = (pid_t)atoi(entry->d_name), .parent = parent};
    }
    closedir(directory);
    if (!failure && count > 0) {
        qsort(pairs, (size_t)count, sizeof *pairs, compare_pairs);
        struct process_walk walk = {.pairs = pairs, .count = count, .root = root, .spared = spared};
        for (int index = 0; index < count && !failure; index++)
            if (is_descendant(&walk, &pairs[index], 0) > 0) failure = list_append(result, pairs[index].pid);
    }
    free(pairs);
    return failure;
}

void process_signal_descendants(pid_t root, int signal) {
    struct process_list found = {0};
    process_descendants(root, NULL, &found);
    for (int index = 0; index < found.count; index++) kill(found.pids[index], signal);
    process_list_free(&found);
}

static int freeze(pid_t root, const struct process_list *spared, struct process_list *frozen) {
    struct process_list found = {0};
    int added = 0;
    process_descendants(root, spared, &found);
    for (int index = 0; index < found.count; index++) {
        pid_t pid = found.pids[index];
        if (process_list_contains(frozen, pid)) continue;
        if (kill(pid, SIGSTOP) == 0 && list_append(frozen, pid) == 0) added++;
    }
    process_list_free(&found);
    return added;
}

int process_kill_descendants(pid_t root, const struct process_list *spared) {
    struct process_list frozen = {0};
    for (int round = 0; round < 64; round++)
        if (freeze(root, spared, &frozen) == 0) break;
    for (int index = 0; index < frozen.count; index++) kill(frozen.pids[index], SIGKILL);
    int count = frozen.count;
    process_list_free(&frozen);
    return count;
}
