// splice(2) and its surroundings, which Swift's Glibc module leaves out (they need _GNU_SOURCE).
#ifndef BERTH_CSPLICE_H
#define BERTH_CSPLICE_H
#include <stdint.h>
#include <sys/types.h>

/// Moves up to `length` bytes from the pipe `source` into the file `target` at `offset`, without waiting.
/// Bytes moved, 0 at the end of the pipe, or -errno (-EAGAIN when the pipe is empty).
ssize_t berth_splice_to_file(int source, int target, int64_t offset, size_t length);

/// Moves up to `length` bytes from `source` (a terminal's master) into the pipe `target`, without waiting. As above.
ssize_t berth_splice_to_pipe(int source, int target, size_t length);

/// Bytes waiting in a pipe, or -errno.
int berth_bytes_waiting(int pipe);

/// 1 when the pipe is empty and nobody can write to it any more.
int berth_pipe_is_over(int pipe);

#endif
