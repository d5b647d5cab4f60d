/* cpu.c -- choose the kernels that this processor can run. */
#include "kernels/backend.h"

#include <string.h>

extern const struct dtn_backend cpu_v2_backend, cpu_v3_backend, cpu_v4_backend;

/* The compiler's levels stand for all instructions it may use in the kernels, and for the system's
 * readiness to save the registers. */
static int best(void)
{
	__builtin_cpu_init();
	if (__builtin_cpu_supports("x86-64-v4"))
		return 4;
	if (__builtin_cpu_supports("x86-64-v3"))
		return 3;
	return __builtin_cpu_supports("x86-64-v2") ? 2 : 0;
}

/* Products in bf16 pay only where the processor multiplies them itself. */
static bool has_bf16(int level)
{
	return level == 4 && __builtin_cpu_supports("avx512bf16");
}

const struct dtn_backend *dtn_cpu(const char *isa)
{
	static struct dtn_backend chosen[5];
	static const char *const detail[5][2] = { [2] = { "sse4, f32", "" },
						  [3] = { "avx2, f32", "" },
						  [4] = { "avx512, f32", "avx512, bf16" } };
	static const struct dtn_backend *const table[5] = {
		[2] = &cpu_v2_backend, [3] = &cpu_v3_backend, [4] = &cpu_v4_backend
	};
	int level = best();

	if (isa) {
		int wanted = strcmp(isa, "v2") == 0 ? 2 : strcmp(isa, "v3") == 0 ? 3 :
			     strcmp(isa, "v4") == 0 ? 4 : 5;
		level = wanted <= level ? wanted : 0;
	}
	if (level == 0)
		return NULL;
	chosen[level] = *table[level];
	chosen[level].bf16 = has_bf16(level);
	chosen[level].detail = detail[level][chosen[level].bf16];
	return &chosen[level];
}
