// What a provider does with processes that are not its children.
#ifndef BERTH_LAUNCH_H
#define BERTH_LAUNCH_H

#include <stdint.h>
#include <sys/types.h>

/// Starts `program sandbox` in a session of its own, with no descriptors but its standard streams, default signals and a
/// bare environment. It is nobody's child: it is re-parented at once. `*input` and `*output` become the caller's ends of
/// its standard input and output. A pid or -errno.
pid_t berth_launch(const char *program, int errors, int *input, int *output);

/// A descriptor of a process (pidfd_open(2)) or -errno.
int berth_process_open(pid_t pid);
/// 0 or -errno.
int berth_process_signal(int process, int signal_number);

/// The processor's counter of ticks (rdtsc) and, at the same moment, nanoseconds of CLOCK_MONOTONIC. Both 0 where there
/// is no such counter.
void berth_processor_ticks(uint64_t *ticks, uint64_t *nanoseconds);

#endif
