/* ptx.h -- the instructions that CUDA C++ has no name for: asynchronous copies, tensor cores.
 *
 * For compute capability 8.0 and later.  A host compiler gets functions of the same names and
 * meaning from the stand-in's cuda_runtime.h.
 *
 * An `mma` multiplies tiles that are spread over the registers of a warp.  With g = lane / 4 and
 * c = lane % 4, a lane holds, of A [16,16], B [16,8] and D [16,8]:
 *
 *      a[0]: A[g][2c,2c+1]     a[1]: A[g+8][2c,2c+1]   b[0]: B[2c,2c+1][g]
 *      a[2]: A[g][2c+8,2c+9]   a[3]: A[g+8][2c+8,2c+9] b[1]: B[2c+8,2c+9][g]
 *      d[0], d[1]: D[g][2c,2c+1]                       d[2], d[3]: D[g+8][2c,2c+1]
 *
 * Two bf16 share a register, the lower index in the lower half.
 */
#ifndef DTN_PTX_H
#define DTN_PTX_H

#include "kernels/cuda/cuda.h"

#ifdef __CUDACC__

DEVICE unsigned shared_address(const void *p)
{
	return (unsigned)__cvta_generic_to_shared(p);
}

/* Begin to copy 16 bytes from global to shared memory, past the nearest cache; where not `valid`,
 * 16 zeros, and `global` is not read.  Both addresses are multiples of 16. */
DEVICE void cp_async_16(void *shared, const void *global, bool valid = true)
{
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::
		     "r"(shared_address(shared)), "l"(global), "r"(valid ? 16 : 0) : "memory");
}

/* This thread's copies since the last commit become a group. */
DEVICE void cp_async_commit()
{
	asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Wait until at most `left` of this thread's groups are still copying.  The other threads see the
 * copies after a barrier. */
template <int left> DEVICE void cp_async_wait()
{
	asm volatile("cp.async.wait_group %0;" :: "n"(left) : "memory");
}

/* Four matrices [8,8] of bf16 from shared memory: lane l gives the address of row l % 8 of matrix
 * l / 8 (16 bytes, aligned), and gets of each matrix the elements [l / 4][2 (l % 4), +1].
 * With _t each matrix arrives transposed. */
DEVICE void ldmatrix_4(unsigned r[4], const void *shared)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
		     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
		     : "r"(shared_address(shared)) : "memory");
}

DEVICE void ldmatrix_4t(unsigned r[4], const void *shared)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
		     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
		     : "r"(shared_address(shared)) : "memory");
}

/* D += A B, products of bf16 added in f32. */
DEVICE void mma_bf16(float d[4], const unsigned a[4], const unsigned b[2])
{
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
		     "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
		     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
		     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif
#endif
