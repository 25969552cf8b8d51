#pragma once

#include <stddef.h>
#include <stdint.h>

/// libFuzzer's loop (compiler-rt, fuzzer_no_main). Calls `target` with input after input; returns an exit status.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*target)(const uint8_t *data, size_t size));
