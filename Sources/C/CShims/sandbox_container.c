// An environment that a container engine has started: its first process waits at the gate (holder --gate) while the
// container gets what no engine gives it through its API. A writable root over its read-only one, kept in the
// environment's own layer (on a disk of fixed size, where there is one), and the network of sandboxes.
#define _GNU_SOURCE
#include "sandbox_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// A tmpfs of the container's own (the provider asks the engine for it), where the new root is put together.
#define STAGE "/run/.berth"

enum { MOUNTS_MAX = 64, RECORD_MAX = 1 << 16 };

struct mounts {
    size_t count;
    struct { char path[512]; int tree; bool is_file; } list[MOUNTS_MAX];
};

static void read_file(int directory, const char *path, char *text, size_t size) {
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail("read", path);
    size_t length = 0;
    for (ssize_t count; length < size - 1 && (count = read(fd, text + length, size - 1 - length)) > 0;)
        length += (size_t)count;
    text[length] = 0;
    close(fd);
}

// A pid alone may have become another process meanwhile; the engine's id in its control groups tells.
static void check_container(const struct spec *spec, int proc) {
    char path[64], text[8192];
    snprintf(path, sizeof path, "%u/cgroup", spec->container);
    read_file(proc, path, text, sizeof text);
    if (strstr(text, spec->container_id) != NULL) return;
    errno = ESRCH;
    fail("find the container", spec->container_id);
}

static int open_namespace(const struct spec *spec, int proc, const char *kind) {
    char path[64];
    snprintf(path, sizeof path, "%u/ns/%s", spec->container, kind);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail("open the container's namespace", kind);
    return fd;
}

// Copies of everything the engine mounted directly below the container's root: fields 1 (id), 2 (parent) and 5 (mount
// point) of proc(5)'s mountinfo; the root's own line has the mount point "/".
static void collect(struct mounts *mounts, int proc) {
    static char text[RECORD_MAX];
    int root = -1;
    read_file(proc, "self/mountinfo", text, sizeof text);
    for (char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        int id, parent;
        char path[512];
        if (sscanf(line, "%d %d %*s %*s %511s", &id, &parent, path) == 3 && strcmp(path, "/") == 0) root = id;
    }
    for (char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        int id, parent;
        char path[512];
        if (sscanf(line, "%d %d %*s %*s %511s", &id, &parent, path) != 3 || parent != root || id == root) continue;
        if (strcmp(path, "/") == 0) continue;
        if (mounts->count == MOUNTS_MAX) {
            errno = E2BIG;
            fail("take over the mount", path);
        }
        int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
        struct stat status;
        if (tree < 0 || fstat(tree, &status) != 0) fail("take over the mount", path);
        size_t next = mounts->count++;
        strcpy(mounts->list[next].path, path);
        mounts->list[next].tree = tree;
        mounts->list[next].is_file = !S_ISDIR(status.st_mode);
    }
}

static int mount_overlay(int layer) {
    if (mkdir(STAGE, 0700) != 0 || mkdir(STAGE "/layer", 0700) != 0 || mkdir(STAGE "/root", 0700) != 0)
        fail("prepare", STAGE);
    int place = open(STAGE "/layer", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place < 0) fail("open", STAGE);
    attach(layer, place, "the environment's layer");
    close(place);
    const char *names[] = { STAGE "/layer/upper", STAGE "/layer/work" };
    for (int i = 0; i < 2; i++)
        if (mkdir(names[i], 0755) != 0 && errno != EEXIST) fail("make", names[i]);
    const char *options = "lowerdir=/,upperdir=" STAGE "/layer/upper,workdir=" STAGE "/layer/work";
    if (mount("overlay", STAGE "/root", "overlay", MS_NODEV, options) != 0)
        fail("mount the overlay of", "the container's root");
    int root = open(STAGE "/root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) fail("open", STAGE);
    return root;
}

static void append(int directory, const char *name, const char *line) {
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) fail("write", name);
    write_all(fd, line, strlen(line));
    close(fd);
}

// Agents never run as the container's root, so an image without the user `agent` is given one.
static void ensure_agent(int root) {
    static char text[RECORD_MAX];
    int etc = place(root, "etc", false, 0);
    int directory = openat(etc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(etc);
    if (directory < 0) fail("open", "/etc");
    int fd = openat(directory, "passwd", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t count = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    text[count < 0 ? 0 : count] = 0;
    if (fd >= 0) close(fd);
    if (strncmp(text, "agent:", 6) == 0 || strstr(text, "\nagent:") != NULL) {
        close(directory);
        return;
    }
    const char *gap = count > 0 && text[count - 1] != '\n' ? "\n" : "";
    char line[128];
    snprintf(line, sizeof line, "%sagent:x:1000:1000::/home/agent:/bin/sh\n", gap);
    append(directory, "passwd", line);
    append(directory, "group", "agent:x:1000:\n");
    close(directory);
    int home = place(root, "home/agent", false, 0);
    if (fchownat(home, "", 1000, 1000, AT_EMPTY_PATH) != 0) fail("own", "/home/agent");
    close(home);
}

// From here on the container's processes, the waiting first one among them, have this root: pivot_root(2) moves everyone
// whose root is the old one.
static void replace_root(int proc, int layer, int namespace) {
    if (setns(namespace, CLONE_NEWNS) != 0) fail("enter", "the container's mounts");
    static struct mounts mounts;
    collect(&mounts, proc);
    umask(022);
    int root = mount_overlay(layer);
    for (size_t i = 0; i < mounts.count; i++) {
        int target = place(root, mounts.list[i].path, mounts.list[i].is_file, 0);
        attach(mounts.list[i].tree, target, mounts.list[i].path);
        close(target);
    }
    ensure_agent(root);
    if (fchdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0) fail("pivot to", "the container's new root");
    if (umount2(".", MNT_DETACH) != 0) fail("let go of", "the container's old root");
    if (chdir("/") != 0) fail("enter", "the container's new root");
    close(root);
    // Empty now that nothing is mounted there any more; /run is the same in both roots.
    rmdir(STAGE "/layer");
    rmdir(STAGE "/root");
    rmdir(STAGE);
}

// The environment's layer, seen from nowhere: mounted in a namespace of this process's own and taken out of it.
static int detached_layer(const struct spec *spec) {
    if (unshare(CLONE_NEWNS) != 0) fail("make", "a mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) fail("separate", "mounts");
    mount_disk(spec);
    int layer = open_tree(AT_FDCWD, spec->layer, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (layer < 0) fail("open", spec->layer);
    return layer;
}

_Noreturn void container_setup(struct spec *spec, int to_monitor, int from_monitor) {
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) fail("open", "/proc");
    // While the engine is still starting the container.
    int layer = detached_layer(spec);
    spec_read_container(spec);
    check_container(spec, proc);
    int mounts = open_namespace(spec, proc, "mnt"), network = open_namespace(spec, proc, "net");
    setup_announce(to_monitor, from_monitor, (pid_t)spec->container);
    if (spec->network) {
        if (setns(network, CLONE_NEWNET) != 0) fail("enter", "the container's network");
        prepare_container_network(spec, proc);
    }
    if (spec->network) setup_ask(to_monitor, from_monitor, 'N');
    replace_root(proc, layer, mounts);
    // Holder and worker come up while the network does.
    setup_ask(to_monitor, from_monitor, 'G');
    if (spec->network) setup_ask(to_monitor, from_monitor, 'R');
    _exit(0);
}

// The root is in place: the first process may go on. The pipe stays open on this side, so that what is written into it
// waits for a reader that comes later. Returns the worker's gate, which has a writer before there can be a reader.
int open_gate(const struct spec *spec) {
    int worker = open(spec->worker_gate, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (worker < 0) fail("open", spec->worker_gate);
    int fd = open(spec->gate, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) fail("open", spec->gate);
    write_all(fd, "g", 1);
    return worker;
}

// Everything is in place: the worker may tell the server that it is there. A later worker finds no gate any more.
void open_worker_gate(const struct spec *spec, int gate) {
    write_all(gate, "g", 1);
    if (unlink(spec->worker_gate) != 0) fail("remove", spec->worker_gate);
}
