// The network of the inside. Its namespace belongs to the outer user namespace, so that not even root inside can change
// a route or open a raw socket; pasta, outside, carries connections to the internet.
#define _GNU_SOURCE
#include "sandbox_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void loopback_up(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = { .ifr_flags = IFF_UP | IFF_RUNNING };
    strcpy(request.ifr_name, "lo");
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0) fail("bring up", "lo");
    close(fd);
}

struct route_message {
    struct nlmsghdr header;
    struct rtmsg route;
    struct rtattr attribute;
    uint8_t address[16];
};

static void unreachable(int netlink, const char *prefix) {
    char text[64];
    snprintf(text, sizeof text, "%s", prefix);
    char *slash = strchr(text, '/');
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    unsigned short size = family == AF_INET6 ? 16 : 4;
    struct route_message message = {
        .header = { .nlmsg_type = RTM_NEWROUTE, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE },
        .route = { .rtm_family = (unsigned char)family, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC,
                   .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNREACHABLE },
        .attribute = { .rta_type = RTA_DST, .rta_len = (unsigned short)RTA_LENGTH(size) },
    };
    message.header.nlmsg_len = (uint32_t)(offsetof(struct route_message, address) + size);
    if (slash) *slash = 0;
    message.route.rtm_dst_len = (unsigned char)(slash ? atoi(slash + 1) : size * 8);
    if (inet_pton(family, text, message.address) != 1) {
        errno = EINVAL;
        fail("read the prefix", prefix);
    }
    struct { struct nlmsghdr header; struct nlmsgerr error; char rest[256]; } answer;
    if (send(netlink, &message, message.header.nlmsg_len, 0) < 0 || recv(netlink, &answer, sizeof answer, 0) < 0)
        fail("ask for the route", prefix);
    // A kernel without IPv6 has nothing to reach there either.
    bool absent = family == AF_INET6 && (answer.error.error == -EAFNOSUPPORT || answer.error.error == -EOPNOTSUPP);
    if (answer.header.nlmsg_type == NLMSG_ERROR && answer.error.error != 0 && !absent) {
        errno = -answer.error.error;
        fail("add the unreachable route", prefix);
    }
}

static void set_if_possible(int proc, const char *path, const char *text) {
    int fd = openat(proc, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    write_all(fd, text, strlen(text));
    close(fd);
}

void prepare_network(const struct spec *spec, int proc) {
    if (unshare(CLONE_NEWNET) != 0) fail("make", "a network namespace");
    prepare_container_network(spec, proc);
}

// The same in a namespace that somebody else has made.
void prepare_container_network(const struct spec *spec, int proc) {
    loopback_up();
    // Comfort, not safety: `ping` without a capability, and ports below 1024 for everyone inside.
    set_if_possible(proc, "sys/net/ipv4/ping_group_range", "0 65535");
    set_if_possible(proc, "sys/net/ipv4/ip_unprivileged_port_start", "0");
    if (spec->network == NULL) return;
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (netlink < 0) fail("open", "the routing socket");
    for (size_t i = 0; i < spec->unreachable_count; i++) unreachable(netlink, spec->unreachable[i]);
    close(netlink);
}

static void join_ports(const struct spec *spec, char *text, size_t size) {
    size_t length = 0;
    text[0] = 0;
    for (size_t i = 0; i < spec->port_count && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i ? "," : "", spec->ports[i]);
}

// Distributions give everyone /dev/net/tun (it grants nothing by itself); where this one does not, pasta gets its own.
static void open_tun_device(void) {
    struct stat status;
    if (stat("/dev/net/tun", &status) == 0 && (status.st_mode & 06) == 06) return;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) _exit(1);
    mkdir("/dev/net", 0755);
    if (mount("tmpfs", "/dev/net", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k") != 0) _exit(1);
    umask(0);
    if (mknod("/dev/net/tun", S_IFCHR | 0666, makedev(10, 200)) != 0) _exit(1);
}

// A container's network belongs to the host's user namespace, so entering it takes rights there. pasta gets these two
// and an id that nothing else on the host has; after its start it keeps the first alone, behind a filter of system calls.
static void become_carrier(const struct spec *spec) {
    const unsigned rights = 1u << CAP_SYS_ADMIN | 1u << CAP_NET_ADMIN;
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { .effective = rights, .permitted = rights, .inheritable = rights } };
    for (unsigned long cap = 0; cap < 64; cap++)
        if (cap > 31 || !(rights & 1u << cap)) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, NULL) != 0
        || setresgid(spec->owner, spec->owner, spec->owner) != 0 || setresuid(spec->owner, spec->owner, spec->owner) != 0
        || syscall(SYS_capset, &header, data) != 0
        || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0) != 0
        || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0) != 0)
        _exit(1);
}

// pasta runs as an ordinary host user: the owner of the outer user namespace, which gives it every right it needs over a
// sandbox's network, or ``become_carrier``.
// `*ready` becomes readable when its ports listen (it writes its pid there), or at once when it has died.
pid_t start_network(const struct spec *spec, int user_namespace, int network_namespace, int *ready) {
    int written[2] = { -1, -1 };
    // The owner opens the pipe anew by its path, so it must be the owner's.
    if (pipe2(written, O_CLOEXEC) != 0
        || (spec->mode != MODE_USER && fchown(written[1], spec->owner, spec->owner) != 0))
        fail("make", "the network's pipe");
    pid_t child = fork();
    if (child != 0) {
        close(written[1]);
        *ready = written[0];
        return child;
    }
    // pasta takes an already ignored SIGPIPE for a failure to ignore it.
    signal(SIGPIPE, SIG_DFL);
    char user[40], network[48], ports[LIST_MAX * 6];
    char *environment[] = { "PATH=/usr/bin:/bin", NULL };
    // Inherited on purpose: pasta opens the namespaces through its own /proc/self/fd.
    if (user_namespace >= 0) fcntl(user_namespace, F_SETFD, 0);
    fcntl(network_namespace, F_SETFD, 0);
    fcntl(written[1], F_SETFD, 0);
    char record[48];
    snprintf(record, sizeof record, "/proc/self/fd/%d", written[1]);
    snprintf(user, sizeof user, "/proc/self/fd/%d", user_namespace);
    snprintf(network, sizeof network, "/proc/self/fd/%d", network_namespace);
    join_ports(spec, ports, sizeof ports);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    if (spec->mode != MODE_USER) open_tun_device();
    if (spec->mode == MODE_CONTAINER) become_carrier(spec);
    if (spec->mode == MODE_ROOT
        && (setgroups(0, NULL) != 0 || setresgid(spec->owner, spec->owner, spec->owner) != 0
            || setresuid(spec->owner, spec->owner, spec->owner) != 0))
        _exit(1);
    char *owner = user_namespace >= 0 ? "--userns" : "--netns-only";
    char *closed[] = {
        "pasta", "--foreground", "--pid", record, "--quiet", "--stderr", "--ipv4-only", "--no-map-gw", "--no-netns-quit", "--no-dhcp",
        "--no-ndp", "--no-dhcpv6", "--no-ra", "--no-udp", "--no-icmp", "--ns-ifname", "eth0", "--tcp-ports", "none",
        "--udp-ports", "none", "--udp-ns", "none", "--tcp-ns", ports, "--netns", network, owner, user_namespace >= 0 ? user : NULL, NULL,
    };
    if (spec->network_closed) {
        execve(spec->network, closed, environment);
        _exit(127);
    }
    char *arguments[] = {
        "pasta", "--foreground", "--pid", record, "--quiet", "--stderr", "--ipv4-only", "--config-net", "--no-map-gw", "--no-netns-quit",
        "--no-dhcp", "--no-ndp", "--no-dhcpv6", "--no-ra", "--ns-ifname", "eth0",
        "--address", (char *)spec->network_address, "--netmask", "30", "--gateway", (char *)spec->network_gateway,
        "--dns-forward", (char *)spec->network_gateway,
        "--tcp-ports", "none", "--udp-ports", "none", "--udp-ns", "none",
        "--tcp-ns", spec->port_count ? ports : "none",
        "--netns", network, owner, user_namespace >= 0 ? user : NULL, NULL,
    };
    execve(spec->network, arguments, environment);
    _exit(127);
}
