// From fork to exec: the order of the steps is what makes the child unable to undo them.
#define _GNU_SOURCE
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHILD_COVERS_MAX = 16 };

struct rlimit child_file_limit;

void child_close_from(int first) {
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0) == 0) return;
    // Kernels before 5.9.
    DIR *directory = opendir("/proc/self/fd");
    if (!directory) {
        for (int descriptor = first; descriptor < 65536; descriptor++) close(descriptor);
        return;
    }
    int own = dirfd(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        int descriptor = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && descriptor >= first && descriptor != own) close(descriptor);
    }
    closedir(directory);
}

void child_reset_signals(void) {
    // The kernel's call, not the library's, which refuses the two signals that it uses itself (32 and 33); a parent
    // that ignored them would pass that on. All zero is the default action on every architecture.
    static const unsigned char standard[64];
    for (int signal = 1; signal < 65; signal++) syscall(SYS_rt_sigaction, signal, standard, NULL, 8);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void fail(int error_pipe, int step, int error) {
    struct child_failure failure = {.step = step, .error = error};
    ssize_t ignored = write(error_pipe, &failure, sizeof failure);
    (void)ignored;
    _exit(127);
}

// 0, 1, 2 from the spawn's descriptors, the error pipe at 3. The sources are moved above 3 first, so that no dup2 can
// overwrite one that is still needed.
static int arrange_descriptors(const struct berth_spawn *spawn, int error_pipe) {
    int sources[3];
    int high_error = fcntl(error_pipe, F_DUPFD_CLOEXEC, 4);
    if (high_error < 0) return -1;
    for (int index = 0; index < 3; index++) {
        sources[index] = spawn->stdio[index] >= 0 ? fcntl(spawn->stdio[index], F_DUPFD_CLOEXEC, 4)
                                                  : open("/dev/null", index == 0 ? O_RDONLY | O_CLOEXEC : O_WRONLY | O_CLOEXEC);
        if (sources[index] < 0) return -1;
        if (sources[index] < 4) {
            int moved = fcntl(sources[index], F_DUPFD_CLOEXEC, 4);
            if (moved < 0) return -1;
            close(sources[index]);
            sources[index] = moved;
        }
    }
    for (int index = 0; index < 3; index++)
        if (dup2(sources[index], index) < 0) return -1;
    if (dup3(high_error, 3, O_CLOEXEC) < 0) return -1;
    child_close_from(4);
    return 0;
}

static int limit(int resource, int64_t value) {
    if (value < 0) return 0;
    struct rlimit now, wanted = {.rlim_cur = (rlim_t)value, .rlim_max = (rlim_t)value};
    // An ordinary user cannot raise a hard limit; the lower of both is what it can promise.
    if (getrlimit(resource, &now) == 0 && now.rlim_max < wanted.rlim_max && geteuid() != 0)
        wanted.rlim_cur = wanted.rlim_max = now.rlim_max;
    return setrlimit(resource, &wanted);
}

static void raise_oom_score(int score) {
    char text[16];
    int descriptor = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    ssize_t ignored = write(descriptor, text, (size_t)snprintf(text, sizeof text, "%d", score));
    (void)ignored;
    close(descriptor);
}

static struct child_cover {
    int namespace;
    int count;
    // What each path shows once it is covered: a tmpfs of its own, or the null device.
    struct child_file {
        dev_t device;
        ino_t inode;
    } files[CHILD_COVERS_MAX];
} cover = {.namespace = -1};

// Covers each path with an empty read-only tmpfs (a file with /dev/null) in a mount namespace of this process's own.
static int cover_paths(char *const *paths) {
    if (unshare(CLONE_NEWNS) < 0) return -1;
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) return -1;
    for (; *paths; paths++) {
        struct stat status;
        if (stat(*paths, &status) < 0) return -1;
        int result = S_ISDIR(status.st_mode)
            ? mount("berth-hidden", *paths, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0,nr_inodes=1,mode=555")
            : mount("/dev/null", *paths, NULL, MS_BIND, NULL);
        if (result < 0) return -1;
    }
    return 0;
}

static int look_at(const char *path, struct child_file *file) {
    struct stat status;
    if (stat(path, &status) < 0) return -1;
    *file = (struct child_file){.device = status.st_dev, .inode = status.st_ino};
    return 0;
}

static int is_same(struct child_file left, struct child_file right) {
    return left.device == right.device && left.inode == right.inode;
}

// Enters the prepared namespace. 0 when every path is covered there, 1 when it does not serve.
static int enter_cover(char *const *paths, const char *directory) {
    char present[4096];
    int keeps_directory = !directory || !directory[0];
    if (cover.namespace < 0) return 1;
    // Entering leaves this process in the namespace's root directory.
    if (keeps_directory && !getcwd(present, sizeof present)) return 1;
    if (setns(cover.namespace, CLONE_NEWNS) < 0) return 1;
    if (keeps_directory && chdir(present) < 0) return 1;
    for (int index = 0; index < cover.count; index++) {
        struct child_file file;
        // A mount goes when its directory is removed.
        if (!paths[index] || look_at(paths[index], &file) < 0 || !is_same(file, cover.files[index])) return 1;
    }
    return paths[cover.count] != NULL;
}

static int hide_paths(const struct berth_spawn *spawn) {
    if (!spawn->hide || !spawn->hide[0]) return 0;
    // One namespace serves all children, except those that may mount: they would change it for the others.
    if (spawn->privileges != BERTH_PRIVILEGES_KEEP && enter_cover(spawn->hide, spawn->directory) == 0) return 0;
    return cover_paths(spawn->hide);
}

// Runs in a process of its own, which may get stuck on the wrong side. 0 when the namespace is fit for use.
static int prepare_cover(char *const *paths, struct child_cover *made) {
    struct child_file root, entered;
    int old = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (old < 0 || look_at("/", &root) < 0 || cover_paths(paths) < 0) return -1;
    for (made->count = 0; paths[made->count]; made->count++)
        if (look_at(paths[made->count], &made->files[made->count]) < 0) return -1;
    // Who enters gets the namespace's root, which is another than "/" after a chroot.
    int new = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (new < 0 || setns(old, CLONE_NEWNS) < 0 || setns(new, CLONE_NEWNS) < 0) return -1;
    return look_at("/", &entered) == 0 && is_same(root, entered) ? 0 : -1;
}

void berth_prepare_hidden(char *const *paths) {
    int count = 0, told[2], go[2];
    while (paths[count]) count++;
    if (count == 0 || count > CHILD_COVERS_MAX || pipe2(told, O_CLOEXEC) < 0) return;
    if (pipe2(go, O_CLOEXEC) < 0) {
        close(told[0]);
        close(told[1]);
        return;
    }
    struct child_cover made = {.namespace = -1};
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        if (prepare_cover(paths, &made) < 0 || write(told[1], &made, sizeof made) != sizeof made) _exit(1);
        // Keeps the namespace until it has been opened.
        ssize_t ignored = read(go[0], &made, 1);
        (void)ignored;
        _exit(0);
    }
    close(told[1]);
    close(go[0]);
    if (pid > 0) {
        char path[64];
        if (read(told[0], &made, sizeof made) == sizeof made) {
            snprintf(path, sizeof path, "/proc/%d/ns/mnt", pid);
            made.namespace = open(path, O_RDONLY | O_CLOEXEC);
            if (made.namespace >= 0) cover = made;
        }
        close(go[1]);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
    } else {
        close(go[1]);
    }
    close(told[0]);
}

static int keeps_capability(int privileges, int capability) {
    if (privileges != BERTH_PRIVILEGES_ADMINISTER) return 0;
    switch (capability) {
    case CAP_CHOWN: case CAP_DAC_OVERRIDE: case CAP_FOWNER: case CAP_FSETID: case CAP_SETGID: case CAP_SETUID:
    case CAP_NET_BIND_SERVICE: case CAP_SYS_CHROOT: case CAP_SETFCAP:
        return 1;
    default:
        return 0;
    }
}

static int set_capabilities(uint64_t mask) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[2], data[2] = {0};
    if (syscall(SYS_capget, &header, held) < 0) return -1;
    for (int index = 0; index < 2; index++) {
        data[index].permitted = held[index].permitted & (uint32_t)(mask >> (32 * index));
        data[index].effective = data[index].permitted;
    }
    return (int)syscall(SYS_capset, &header, data);
}

static int drop_groups(gid_t gid) {
    if (setgroups(1, &gid) == 0) return 0;
    // A user namespace made without privilege denies setgroups for ever; there are no further groups to gain in it.
    char text[8] = {0};
    int descriptor = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
    ssize_t length = descriptor < 0 ? -1 : read(descriptor, text, sizeof text - 1);
    if (descriptor >= 0) close(descriptor);
    if (length > 0 && strncmp(text, "deny", 4) == 0) return 0;
    errno = EPERM;
    return -1;
}

static int take_identity(const struct berth_spawn *spawn) {
    uint64_t kept = 0;
    if (spawn->privileges != BERTH_PRIVILEGES_KEEP) {
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        for (int capability = 0; capability < 64; capability++) {
            if (keeps_capability(spawn->privileges, capability)) {
                kept |= 1ull << capability;
            } else if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno == EINVAL && capability > CAP_LAST_CAP) {
                break;
            }
            // Fails without CAP_SETPCAP; then no_new_privs alone keeps the bounding set out of reach.
        }
    }
    if (spawn->set_ids) {
        int is_change = spawn->uid != getuid() || spawn->gid != getgid() || getuid() == 0;
        if (is_change && drop_groups(spawn->gid) < 0) return -1;
        if (setresgid(spawn->gid, spawn->gid, spawn->gid) < 0) return -1;
        if (setresuid(spawn->uid, spawn->uid, spawn->uid) < 0) return -1;
    }
    if (spawn->privileges == BERTH_PRIVILEGES_KEEP) return 0;
    if (set_capabilities(kept) < 0) return -1;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static const char *search_path(char *const *environment) {
    for (; *environment; environment++)
        if (strncmp(*environment, "PATH=", 5) == 0) return *environment + 5;
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

// A program written a moment ago may still be open for writing in a process that another thread of its writer has just
// forked and that has not yet come to its own execve: so ETXTBSY passes, within 127 ms here.
static void execute_file(const char *file, char *const *argv, char *const *environment) {
    struct timespec pause = {.tv_nsec = 1000000};
    for (int tries = 0; tries < 7; tries++, pause.tv_nsec *= 2) {
        execve(file, argv, environment);
        if (errno != ETXTBSY) return;
        nanosleep(&pause, NULL);
    }
    execve(file, argv, environment);
}

// As execvpe(3), but searching the child's own PATH and without a shell for files that are no program.
static int execute(char *const *argv, char *const *environment) {
    const char *name = argv[0];
    if (strchr(name, '/')) {
        execute_file(name, argv, environment);
        return errno;
    }
    int result = ENOENT;
    size_t length = strlen(name);
    const char *next;
    for (const char *part = search_path(environment); *name; part = next + 1) {
        char file[4096];
        next = strchrnul(part, ':');
        size_t width = (size_t)(next - part);
        if (width + length + 2 <= sizeof file) {
            memcpy(file, part, width);
            if (width > 0) file[width++] = '/';
            memcpy(file + width, name, length + 1);
            execute_file(file, argv, environment);
            if (errno == EACCES) result = EACCES;
            else if (errno != ENOENT && errno != ENOTDIR) return errno;
        }
        if (!*next) break;
    }
    return result;
}

_Noreturn void child_become(const struct berth_spawn *spawn, int error_pipe) {
    setsid();
    // The holder's undumpable image makes /proc/self root's; an ordinary user must get its own entries back.
    if (geteuid() != 0) prctl(PR_SET_DUMPABLE, 1);
    // While the prepared namespace's descriptor is open.
    if (hide_paths(spawn) < 0) fail(error_pipe, BERTH_STEP_HIDE, errno);
    if (arrange_descriptors(spawn, error_pipe) < 0) fail(error_pipe, BERTH_STEP_STDIO, errno);
    error_pipe = 3;
    if (spawn->is_terminal) {
        if (ioctl(0, TIOCSCTTY, 0) < 0) fail(error_pipe, BERTH_STEP_TERMINAL, errno);
        // Programs that open their terminal by name need to own it; where that is refused, 0, 1 and 2 still serve.
        if (spawn->set_ids && fchown(0, spawn->uid, (gid_t)-1) < 0) errno = 0;
    }
    raise_oom_score(spawn->oom_score_adj);
    if (child_file_limit.rlim_cur > 0) setrlimit(RLIMIT_NOFILE, &child_file_limit);
    if (limit(RLIMIT_NPROC, spawn->max_processes) < 0 || limit(RLIMIT_NOFILE, spawn->max_files) < 0
        || limit(RLIMIT_AS, spawn->max_address_space) < 0)
        fail(error_pipe, BERTH_STEP_LIMITS, errno);
    if (take_identity(spawn) < 0) fail(error_pipe, BERTH_STEP_PRIVILEGES, errno);
    if (spawn->directory && spawn->directory[0] && chdir(spawn->directory) < 0)
        fail(error_pipe, BERTH_STEP_DIRECTORY, errno);
    umask(022);
    child_reset_signals();
    // After every change of identity, which would clear it; the guardian is this process's parent.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fail(error_pipe, BERTH_STEP_EXEC, execute(spawn->argv, spawn->envp));
}
