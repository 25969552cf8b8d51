// The view of the inside. Everything is mounted onto descriptors: names below the new root are the environment's to
// change, so none of its symbolic links is ever followed.
#define _GNU_SOURCE
#include "sandbox_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// Where the pieces lie while they are put together; "/" of the setup process is a tmpfs of its own.
#define OLD "/old"
#define NEW "/new"

void attach(int tree, int target, const char *subject) {
    if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
        fail("attach", subject);
    close(tree);
}

struct setting { const char *key, *value; };

static int new_mount(const char *type, const struct setting *settings, unsigned attributes) {
    int context = fsopen(type, FSOPEN_CLOEXEC);
    if (context < 0) fail("open file system", type);
    for (; settings->key; settings++)
        if (fsconfig(context, FSCONFIG_SET_STRING, settings->key, settings->value, 0) != 0)
            fail("configure file system", settings->key);
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0) fail("create file system", type);
    int tree = fsmount(context, FSMOUNT_CLOEXEC, attributes);
    if (tree < 0) fail("mount", type);
    close(context);
    return tree;
}

static int tmpfs(uint32_t root_id, const char *mode, const char *size, unsigned attributes) {
    char id[16];
    snprintf(id, sizeof id, "%u", root_id);
    struct setting settings[] = { { "mode", mode }, { "size", size }, { "uid", id }, { "gid", id }, { NULL, NULL } };
    return new_mount("tmpfs", settings, attributes);
}

// Opens `path` below `root`, making what is missing; what stands there as another type (a link above all) is replaced.
int place(int root, const char *path, bool is_file, uint32_t root_id) {
    int directory = fcntl(root, F_DUPFD_CLOEXEC, 3);
    const char *rest = path;
    char name[256];
    if (directory < 0) fail("open", path);
    while (*rest == '/') rest++;
    while (*rest) {
        size_t length = strcspn(rest, "/");
        if (length >= sizeof name) {
            errno = ENAMETOOLONG;
            fail("place", path);
        }
        memcpy(name, rest, length);
        name[length] = 0;
        rest += length;
        while (*rest == '/') rest++;
        bool file = is_file && *rest == 0;
        struct stat found;
        bool exists = fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) == 0;
        if (exists && (file ? !S_ISREG(found.st_mode) : !S_ISDIR(found.st_mode))) {
            if (unlinkat(directory, name, S_ISDIR(found.st_mode) ? AT_REMOVEDIR : 0) != 0) fail("replace", path);
            exists = false;
        }
        if (!exists) {
            if (file) {
                int made = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
                if (made < 0) fail("make", path);
                close(made);
            } else if (mkdirat(directory, name, 0755) != 0) {
                fail("make", path);
            }
            if (fchownat(directory, name, root_id, root_id, AT_SYMLINK_NOFOLLOW) != 0) fail("own", path);
        }
        int next = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | (file ? 0 : O_DIRECTORY));
        if (next < 0) fail("open", path);
        close(directory);
        directory = next;
    }
    return directory;
}

static void bind_tree(int source_root, const char *source, int target, bool read_only, int id_map, unsigned flags) {
    // Whatever the host has mounted below the source stays out: the clone is not recursive.
    int tree = open_tree(source_root, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) fail("bind", source);
    struct mount_attr attributes = { .attr_set = flags | (read_only ? MOUNT_ATTR_RDONLY : 0) };
    if (id_map >= 0) {
        attributes.attr_set |= MOUNT_ATTR_IDMAP;
        attributes.userns_fd = (uint64_t)id_map;
    }
    if (attributes.attr_set && mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
        fail(id_map >= 0 ? "map the ids of" : "set the flags of", source);
    attach(tree, target, source);
}

static int open_place(const char *path) {
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) fail("open", path);
    return fd;
}

// A directory of the staging area, and what is mounted on it from then on.
static int stage(const char *path) {
    if (mkdir(path, 0755) != 0 && errno != EEXIST) fail("make", path);
    return open_place(path);
}

static int loop_device(const char *image) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int file = open(image, O_RDWR | O_CLOEXEC);
    if (control < 0) fail("open", "/dev/loop-control");
    if (file < 0) fail("open", image);
    for (int attempt = 0; attempt < 32; attempt++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0) fail("find a loop device for", image);
        char path[32];
        snprintf(path, sizeof path, "/dev/loop%d", number);
        int device = open(path, O_RDWR | O_CLOEXEC);
        if (device < 0 && errno == ENOENT) {
            mknod(path, S_IFBLK | 0600, makedev(7, (unsigned)number));
            device = open(path, O_RDWR | O_CLOEXEC);
        }
        // Autoclear: the kernel frees it with the last mount, so a crash leaks none.
        struct loop_config config = { .fd = (uint32_t)file, .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
        if (device >= 0 && ioctl(device, LOOP_CONFIGURE, &config) == 0) {
            close(control);
            close(file);
            return device;
        }
        if (device >= 0) close(device);
        if (errno != EBUSY) fail("attach a loop device to", image);
    }
    fail("attach a loop device to", image);
}

// `spec->layer` with the environment's upper and work directories, mounted at /layer before the pivot hides paths.
void mount_disk(const struct spec *spec) {
    if (spec->disk == NULL) return;
    int device = loop_device(spec->disk);
    struct stat status;
    char path[64];
    if (fstat(device, &status) != 0) fail("inspect", "the loop device");
    snprintf(path, sizeof path, "/dev/loop%u", minor(status.st_rdev));
    if (mount(path, spec->layer, "ext4", MS_NOSUID | MS_NODEV, NULL) != 0) fail("mount the disk", spec->disk);
    // The set-user-id bit counts on the overlay above, which has no such flag.
    close(device);
}

static void enter_stage(const struct spec *spec) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) fail("separate", "mounts");
    mount_disk(spec);
    if (mount("tmpfs", spec->directory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m") != 0)
        fail("mount the staging area on", spec->directory);
    if (chdir(spec->directory) != 0 || mkdir("old", 0755) != 0) fail("prepare", spec->directory);
    if (syscall(SYS_pivot_root, ".", "old") != 0) fail("pivot to", spec->directory);
    if (chdir("/") != 0) fail("enter", "the staging area");
}

static int old_root(void) { return open_place(OLD); }

static const char *relative(const char *path) {
    while (*path == '/') path++;
    return *path ? path : ".";
}

static void mount_layers(const struct spec *spec, int old, int id_map) {
    int lower = stage("/lower"), layer = stage("/layer"), root = stage(NEW);
    bind_tree(old, relative(spec->lower), lower, true, id_map, 0);
    bind_tree(old, relative(spec->layer), layer, false, -1, 0);
    close(lower);
    close(layer);
    layer = open_place("/layer");
    const char *names[] = { "upper", "work" };
    for (int i = 0; i < 2; i++) {
        if (mkdirat(layer, names[i], 0755) != 0 && errno != EEXIST) fail("make", names[i]);
        if (fchownat(layer, names[i], spec->root_id, spec->root_id, AT_SYMLINK_NOFOLLOW) != 0)
            fail("own", names[i]);
    }
    close(layer);
    const char *options = spec->mode == MODE_USER ? "lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work,userxattr"
                                                  : "lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work";
    if (mount("overlay", NEW, "overlay", MS_NODEV, options) != 0) fail("mount the overlay of", spec->layer);
    close(root);
}

static void mount_devices(const struct spec *spec, int old, int root) {
    static const char *const nodes[] = { "null", "zero", "full", "random", "urandom", "tty" };
    static const struct setting links[] = { { "fd", "/proc/self/fd" },         { "stdin", "/proc/self/fd/0" },
                                            { "stdout", "/proc/self/fd/1" },   { "stderr", "/proc/self/fd/2" },
                                            { "ptmx", "pts/ptmx" } };
    char path[64];
    attach(tmpfs(spec->root_id, "0755", "1m", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC),
           place(root, "dev", false, spec->root_id), "dev");
    int dev = place(root, "dev", false, spec->root_id);
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        snprintf(path, sizeof path, "dev/%s", nodes[i]);
        int node = place(dev, nodes[i], true, spec->root_id);
        bind_tree(old, path, node, false, -1, 0);
        close(node);
    }
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        if (symlinkat(links[i].value, dev, links[i].key) != 0) fail("link", links[i].key);
        if (fchownat(dev, links[i].key, spec->root_id, spec->root_id, AT_SYMLINK_NOFOLLOW) != 0)
            fail("own", links[i].key);
    }
    if (spec->kvm && spec->mode == MODE_ROOT) {
        // A node of its own: the host's belongs to ids that nobody is inside.
        if (mknodat(dev, "kvm", S_IFCHR | 0600, makedev(10, 232)) != 0
            || fchownat(dev, "kvm", spec->root_id, spec->root_id, AT_SYMLINK_NOFOLLOW) != 0)
            fail("make", "kvm");
    } else if (spec->kvm) {
        int node = place(dev, "kvm", true, spec->root_id);
        bind_tree(old, "dev/kvm", node, false, -1, 0);
        close(node);
    }
    close(place(dev, "pts", false, spec->root_id));
    attach(tmpfs(spec->root_id, "1777", "50%", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV),
           place(dev, "shm", false, spec->root_id), "dev/shm");
    close(dev);
}

// Runs with full rights over the mount namespace: real root's in MODE_ROOT, the outer user namespace's in MODE_USER.
void build_root(const struct spec *spec, int proc) {
    int id_map = spec->mode == MODE_ROOT ? id_mapping_namespace(proc, spec->outer, spec->outer_count) : -1;
    enter_stage(spec);
    int old = old_root();
    mount_layers(spec, old, id_map);
    int root = open_place(NEW);
    mount_devices(spec, old, root);
    attach(tmpfs(spec->root_id, "0755", "64m", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV),
           place(root, "run", false, spec->root_id), "run");
    attach(tmpfs(spec->root_id, "0755", "1m", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV),
           place(root, "opt/berth", false, spec->root_id), "opt/berth");
    close(place(root, "proc", false, spec->root_id));
    for (size_t i = 0; i < spec->bind_count; i++) {
        const struct bind *bind = &spec->binds[i];
        int target = place(root, bind->target, bind->is_file, spec->root_id);
        bind_tree(old, relative(bind->source), target, bind->read_only, bind->id_mapped ? id_map : -1,
                  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        close(target);
    }
    close(root);
    close(old);
    if (id_map >= 0) close(id_map);
}

// The last part, by the first process of the inside: its own /proc and terminals, then the old root is let go.
void enter_root(const struct spec *spec) {
    // The copies made for the new namespace are locked; a bind of their root is not, so it can become "/".
    if (mount(NEW, NEW, NULL, MS_BIND | MS_REC, NULL) != 0) fail("bind", "the new root");
    int root = open_place(NEW);
    const struct setting none[] = { { NULL, NULL } };
    attach(new_mount("proc", none, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC),
           place(root, "proc", false, spec->user), "proc");
    const struct setting terminals[] = { { "ptmxmode", "0666" }, { "mode", "0620" }, { NULL, NULL } };
    attach(new_mount("devpts", terminals, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC),
           place(root, "dev/pts", false, spec->user), "dev/pts");
    if (fchdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0) fail("pivot to", "the new root");
    if (umount2(".", MNT_DETACH) != 0) fail("let go of", "the host's root");
    if (chdir("/") != 0) fail("enter", "the new root");
    close(root);
}
