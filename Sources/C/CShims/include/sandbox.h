// The launcher of local instances: berth-hold's mode `sandbox`. Written in C because everything it does happens between
// fork and exec, or needs system calls that Swift cannot make.
#ifndef BERTH_SANDBOX_H
#define BERTH_SANDBOX_H

/// Reads a specification (NUL-separated words, see sandbox_spec.c) from standard input, starts the instance, answers
/// one line on standard output (`ok PID START` or `error ERRNO STEP: SUBJECT`) and stays as the instance's monitor.
int berth_sandbox_main(void);

#endif
