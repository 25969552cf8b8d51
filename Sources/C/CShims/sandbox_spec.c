// The specification: NUL-terminated words, each record a key and its fixed number of values, on standard input so that
// nothing of it shows in a process list.
#define _GNU_SOURCE
#include "sandbox_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct words { char *next, *end; };

static char *word(struct words *words, const char *key) {
    if (words->next >= words->end) {
        errno = EINVAL;
        fail("read the specification", key);
    }
    char *value = words->next;
    words->next += strlen(value) + 1;
    return value;
}

static uint32_t number(struct words *words, const char *key) {
    char *end, *text = word(words, key);
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == 0 || *end != 0 || errno != 0 || value > UINT32_MAX) {
        errno = EINVAL;
        fail("read the specification", key);
    }
    return (uint32_t)value;
}

static size_t claim(size_t *count, size_t limit, const char *key) {
    if (*count >= limit) {
        errno = E2BIG;
        fail("read the specification", key);
    }
    return (*count)++;
}

static void extent(struct words *words, struct id_extent *list, size_t *count, const char *key) {
    struct id_extent *entry = &list[claim(count, LIST_MAX, key)];
    entry->inside = number(words, key);
    entry->outside = number(words, key);
    entry->count = number(words, key);
}

static void bind_record(struct words *words, struct spec *spec) {
    struct bind *entry = &spec->binds[claim(&spec->bind_count, LIST_MAX, "bind")];
    const char *flags = word(words, "bind");
    entry->read_only = strchr(flags, 'r') != NULL;
    entry->id_mapped = strchr(flags, 'i') != NULL;
    entry->is_file = strchr(flags, 'f') != NULL;
    entry->source = word(words, "bind");
    entry->target = word(words, "bind");
}

static void limit_record(struct words *words, struct spec *spec) {
    struct limit *entry = &spec->limits[claim(&spec->limit_count, LIST_MAX, "limit")];
    const char *name = word(words, "limit");
    entry->resource = strcmp(name, "processes") == 0   ? RLIMIT_NPROC
                      : strcmp(name, "descriptors") == 0 ? RLIMIT_NOFILE
                      : strcmp(name, "core") == 0      ? RLIMIT_CORE
                                                       : -1;
    if (entry->resource < 0) {
        errno = EINVAL;
        fail("read the specification: unknown limit", name);
    }
    entry->value = number(words, "limit");
}

static void record(struct words *words, struct spec *spec) {
    const char *key = word(words, "key");
#define IS(name) (strcmp(key, name) == 0)
    if (IS("mode")) {
        const char *mode = word(words, key);
        spec->mode = strcmp(mode, "root") == 0        ? MODE_ROOT
                     : strcmp(mode, "user") == 0      ? MODE_USER
                     : strcmp(mode, "container") == 0 ? MODE_CONTAINER
                                                      : MODE_HOST;
    }
    else if (IS("directory")) spec->directory = word(words, key);
    else if (IS("instance")) spec->instance = word(words, key);
    else if (IS("lower")) spec->lower = word(words, key);
    else if (IS("layer")) spec->layer = word(words, key);
    else if (IS("disk")) spec->disk = word(words, key);
    else if (IS("hostname")) spec->hostname = word(words, key);
    else if (IS("cwd")) spec->cwd = word(words, key);
    else if (IS("remove")) spec->removals[claim(&spec->removal_count, LIST_MAX, key)] = word(words, key);
    else if (IS("rootID")) spec->root_id = number(words, key);
    else if (IS("owner")) spec->owner = number(words, key);
    else if (IS("later")) (void)number(words, key);
    else if (IS("container")) {
        spec->container = number(words, key);
        spec->container_id = word(words, key);
    }
    else if (IS("gate")) spec->gate = word(words, key);
    else if (IS("workerGate")) spec->worker_gate = word(words, key);
    else if (IS("user")) spec->user = number(words, key);
    else if (IS("outer")) extent(words, spec->outer, &spec->outer_count, key);
    else if (IS("inner")) extent(words, spec->inner, &spec->inner_count, key);
    else if (IS("bind")) bind_record(words, spec);
    else if (IS("limit")) limit_record(words, spec);
    else if (IS("cgroup")) spec->cgroups[claim(&spec->cgroup_count, LIST_MAX, key)] = word(words, key);
    else if (IS("network")) spec->network = word(words, key);
    else if (IS("address")) spec->network_address = word(words, key);
    else if (IS("kvm")) spec->kvm = number(words, key) != 0;
    else if (IS("closed")) spec->network_closed = number(words, key) != 0;
    else if (IS("gateway")) spec->network_gateway = word(words, key);
    else if (IS("port")) spec->ports[claim(&spec->port_count, LIST_MAX, key)] = word(words, key);
    else if (IS("unreachable"))
        spec->unreachable[claim(&spec->unreachable_count, LIST_MAX * 4, key)] = word(words, key);
    else if (IS("argument")) spec->arguments[claim(&spec->argument_count, LIST_MAX, key)] = word(words, key);
    else if (IS("environment"))
        spec->environment[claim(&spec->environment_count, LIST_MAX, key)] = word(words, key);
    else {
        errno = EINVAL;
        fail("read the specification: unknown key", key);
    }
#undef IS
}

// Where the first part ends that begins with the record `later N`: N bytes after it. The rest comes when it is known.
static size_t first_part(const char *text, size_t length) {
    static const char key[] = "later";
    if (length <= sizeof key || memcmp(text, key, sizeof key) != 0) return SIZE_MAX;
    const char *end = memchr(text + sizeof key, 0, length - sizeof key);
    return end ? (size_t)(end + 1 - text) + strtoul(text + sizeof key, NULL, 10) : SIZE_MAX;
}

// The words live as long as the process.
static void read_records(struct spec *spec, char *text, size_t size) {
    size_t length = 0;
    while (length < first_part(text, length)) {
        ssize_t count = read(STDIN_FILENO, text + length, size - length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail("read the specification", "standard input");
        if (count == 0) break;
        length += (size_t)count;
        if (length == size) {
            errno = E2BIG;
            fail("read the specification", "standard input");
        }
    }
    if (length == 0 || text[length - 1] != 0) {
        errno = EINVAL;
        fail("read the specification", "it does not end with NUL");
    }
    struct words words = { text, text + length };
    while (words.next < words.end) record(&words, spec);
}

void spec_read_container(struct spec *spec) {
    static char text[1024];
    read_records(spec, text, sizeof text);
    if (spec->container_id != NULL) return;
    errno = EINVAL;
    fail("read the specification", "no container is named");
}

void spec_read(struct spec *spec) {
    static char text[1 << 18];
    read_records(spec, text, sizeof text);
    bool starts = spec->instance != NULL
                  && (spec->mode == MODE_CONTAINER ? spec->gate && spec->worker_gate && spec->layer
                                                   : spec->argument_count > 0);
    if (spec->directory == NULL || (spec->removal_count == 0 && !starts)) {
        errno = EINVAL;
        fail("read the specification", "directory, instance and what to start are needed");
    }
}
