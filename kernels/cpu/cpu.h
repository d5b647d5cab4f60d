/* cpu.h -- names inside kernels/cpu.
 *
 * Every file of this folder is compiled once for each kind of x86-64 processor, with ISA set to v2,
 * v3 or v4; what is not static carries it in its name: CPU(conv) is cpu_v3_conv where ISA is v3. */
#ifndef DTN_CPU_H
#define DTN_CPU_H

#include "kernels/backend.h"

#define CPU_PASTE(isa, name) cpu_##isa##_##name
#define CPU_(isa, name) CPU_PASTE(isa, name)
#define CPU(name) CPU_(ISA, name)

/* NAME.c defines the kernel of op NAME. */
#define OP(name, inputs, reads) extern const struct dtn_kernel CPU(name);
#include "lib/nn/op.def"
#undef OP

extern const struct dtn_backend CPU(backend);

void CPU(adam)(const struct dtn_adam_call *);
double CPU(norm2)(const float *, size_t n);
void CPU(accumulate)(float *to, const float *from, size_t n);

#endif
