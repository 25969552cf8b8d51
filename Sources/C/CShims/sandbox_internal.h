#ifndef BERTH_SANDBOX_INTERNAL_H
#define BERTH_SANDBOX_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum { LIST_MAX = 64 };

enum sandbox_mode {
    MODE_ROOT, // started by root: ids are shifted by idmapped mounts and a user namespace
    MODE_USER, // started by an ordinary user: everything happens inside their user namespace
    MODE_HOST, // no isolation at all
    MODE_CONTAINER, // a container engine made the namespaces; started by root
};

struct id_extent { uint32_t inside, outside, count; };
struct bind { const char *source, *target; bool read_only, id_mapped, is_file; };
struct limit { int resource; rlim_t value; };

struct spec {
    enum sandbox_mode mode;
    const char *directory; // the environment's own; record, exit and lock are written there
    const char *instance;
    const char *lower;     // the base root
    const char *layer;     // directory that holds upper and work
    const char *disk;      // ext4 image mounted at `layer`, or NULL
    const char *hostname, *cwd;
    const char *removals[LIST_MAX]; // directories to empty instead of starting anything
    uint32_t root_id;      // id, as seen where the mounts are made, that is root inside
    uint32_t owner;        // MODE_ROOT: host id that owns the outer user namespace and runs the network
    uint32_t user;         // id inside that the holder runs as
    struct id_extent outer[LIST_MAX], inner[LIST_MAX];
    struct bind binds[LIST_MAX];
    struct limit limits[LIST_MAX];
    const char *cgroups[LIST_MAX], *unreachable[LIST_MAX * 4], *ports[LIST_MAX];
    char *arguments[LIST_MAX + 1], *environment[LIST_MAX + 1];
    uint32_t container;       // MODE_CONTAINER: pid of the container's first process
    const char *container_id; // the engine's name for it
    const char *gate;         // the pipe at which that process waits
    const char *worker_gate;  // the pipe at which its worker waits
    size_t removal_count, outer_count, inner_count, bind_count, limit_count, cgroup_count, unreachable_count, port_count;
    size_t argument_count, environment_count;
    const char *network;   // path of pasta, or NULL for loopback only
    const char *network_address, *network_gateway;
    bool kvm;             // /dev/kvm is to be there
    bool network_closed;          // host ports only, no way to anywhere else
};

// sandbox_spec.c
void spec_read(struct spec *spec);
void spec_read_container(struct spec *spec); // MODE_CONTAINER: the second part, once the container runs

// sandbox_report.c: steps that fail write `error ERRNO STEP: SUBJECT` to the report descriptor and end the process.
extern int report_fd;
_Noreturn void fail(const char *step, const char *subject);
void write_file(int directory, const char *path, const char *text);
unsigned long long start_time(pid_t pid);
void write_all(int fd, const char *text, size_t length);
void read_exactly(int fd, void *buffer, size_t length, const char *what);

// sandbox_ids.c
void write_maps(int proc, pid_t pid, const struct id_extent *extents, size_t count);
void write_maps_by_tool(pid_t pid, const struct id_extent *extents, size_t count);
int id_mapping_namespace(int proc, const struct id_extent *extents, size_t count);
void remove_tree(const char *path);

// sandbox_mounts.c
void build_root(const struct spec *spec, int proc);
void enter_root(const struct spec *spec);
void mount_disk(const struct spec *spec);
void attach(int tree, int target, const char *subject);
int place(int root, const char *path, bool is_file, uint32_t root_id);

// sandbox_network.c
void prepare_network(const struct spec *spec, int proc);
void prepare_container_network(const struct spec *spec, int proc);
pid_t start_network(const struct spec *spec, int user_namespace, int network_namespace, int *ready);

// sandbox_filter.c
void filter_system_calls(void);

// sandbox_setup.c: the process between the monitor and the holder.
_Noreturn void setup(const struct spec *spec, int to_monitor, int from_monitor);
void setup_ask(int to_monitor, int from_monitor, char question);
void setup_announce(int to_monitor, int from_monitor, pid_t pid);

// sandbox_container.c: the same for MODE_CONTAINER.
_Noreturn void container_setup(struct spec *spec, int to_monitor, int from_monitor);
int open_gate(const struct spec *spec);
void open_worker_gate(const struct spec *spec, int gate);

#endif
