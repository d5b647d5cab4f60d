/* cpu.c -- choose the kernels that this processor can run. */
#include "kernels/backend.h"

#include <string.h>

extern const struct dtn_backend cpu_v2_backend, cpu_v3_backend, cpu_v4_backend;

/* The compiler's levels stand for all instructions it may use in the kernels, and for the system's
 * readiness to save the registers.  Older versions of clang know only the instructions' own names;
 * what is not among these here came in the same processors. */
#if defined(__clang__) && __clang_major__ < 18
#define HAS(feature) __builtin_cpu_supports(feature)
#define HAS_V2 (HAS("sse4.2") && HAS("popcnt"))
#define HAS_V3 (HAS("avx2") && HAS("fma") && HAS("bmi") && HAS("bmi2"))
#define HAS_V4 (HAS_V3 && HAS("avx512f") && HAS("avx512bw") && HAS("avx512cd") && \
		HAS("avx512dq") && HAS("avx512vl"))
#else
#define HAS_V2 __builtin_cpu_supports("x86-64-v2")
#define HAS_V3 __builtin_cpu_supports("x86-64-v3")
#define HAS_V4 __builtin_cpu_supports("x86-64-v4")
#endif

static int best(void)
{
	__builtin_cpu_init();
	return HAS_V4 ? 4 : HAS_V3 ? 3 : HAS_V2 ? 2 : 0;
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
