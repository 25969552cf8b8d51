// System calls that no program of a sandbox needs and that reach beyond it: the kernel's log, modules, keys of whoever
// started the server, tracing of the whole machine. Everything else stays, nested sandboxes above all.
#define _GNU_SOURCE
#include "sandbox_internal.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define FIRST_FOREIGN 0x40000000 // calls of the x32 ABI carry this bit
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#define FIRST_FOREIGN 0x7fffffff
#else
#error "name this architecture's audit constant"
#endif

static const unsigned refused[] = {
    SYS_syslog,     SYS_init_module, SYS_finit_module,    SYS_delete_module,     SYS_kexec_load,
    SYS_reboot,     SYS_swapon,      SYS_swapoff,         SYS_acct,              SYS_quotactl,
    SYS_bpf,        SYS_keyctl,      SYS_add_key,         SYS_request_key,       SYS_perf_event_open,
    SYS_userfaultfd, SYS_settimeofday, SYS_clock_settime, SYS_open_by_handle_at, SYS_kexec_file_load,
};
enum { REFUSED = sizeof refused / sizeof *refused, HEAD = 4 };

void filter_system_calls(void) {
    struct sock_filter program[HEAD + REFUSED + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        // Calls of another architecture have other numbers; none of them is let through.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 0, REFUSED + 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_FOREIGN, REFUSED + 1, 0),
    };
    for (unsigned i = 0; i < REFUSED; i++)
        program[HEAD + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i],
                                                         (unsigned char)(REFUSED - i), 0);
    program[HEAD + REFUSED] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[HEAD + REFUSED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    struct sock_fprog filter = { HEAD + REFUSED + 2, program };
    // Without no_new_privs: the caller has CAP_SYS_ADMIN in its user namespace, and set-user-id programs inside stay useful.
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0) fail("filter", "system calls");
}
