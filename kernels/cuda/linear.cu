/* linear.cu -- linear maps of the innermost dimension.
 *
 *      y [M,K] = b + residual + x [M,C] w'             dx [M,C] = dy [M,K] w [K,C]
 *      dw [K,C] = dy' x                                db [K] = the sum of the rows of dy
 *
 * M is everything but the innermost dimension.  The gradients are matrix products of cuBLAS.  The
 * forward pass must give an image the same bits whatever the batch, which cuBLAS, choosing its
 * algorithm by M, does not; so it is
 *
 *      of positions [N,..,C]   the product of convolutions with one tap (conv_bf16.cu and
 *                              conv_f32.cu), which adds in one order for any M, and bias and
 *                              residual in passing
 *      of rows [N,C]           a product of its own: there are as many rows as images, so few
 *
 *                 rows                     a warp: one filter f and 8 rows; its lanes take every
 *              +--------+                  32nd channel, then add their sums, always in the same
 *      f   w f | 8 y    |  ...             order.  8 warps, so 8 filters, a block
 *              +--------+
 *
 * In bf16 the weights are multiplied as bf16 and added in f32; in f32 nothing is tf32.
 *
 * Bytes: x, residual, y and w once; operations: 2 M K C.  In the attention of a UNet, M = 32768 and
 * K = C = 256 (bf16): 4.3 G operations and 34 MB, so memory decides on cards that do more than 130
 * operations a byte, which 8.0 and 9.0 do; the estimate is 60 to 80 % of the memory's speed.  For
 * rows, 128 by 256 from 512, 34 M operations and 0.8 MB from the second-level cache, the launch and
 * a wave of blocks decide: 4 to 6 microseconds.  No figure here was measured.
 *
 * cuBLAS gives the same bits for the same call on the same card: one stream, its workspace fixed,
 * no atomics (its default).
 */
#include "kernels/cuda/conv.h"

#include <cublas_v2.h>
#include <stdlib.h>

namespace {

/* --- cuBLAS ----------------------------------------------------------------------------------- */

void check(cublasStatus_t status, const char *what)
{
	if (status != CUBLAS_STATUS_SUCCESS)
		dtn_die(DTN_ENV, "cuBLAS: %s: %s", what, cublasGetStatusString(status));
}

/* One for the process.  Its workspace is ours: a call that is being captured into a graph must not
 * allocate.  Partial sums of a bf16 result stay in f32, which is not the default. */
cublasHandle_t blas()
{
	enum { WORKSPACE = 32 << 20 };          /* what NVIDIA recommends for 9.0 */
	static cublasHandle_t handle;
	static void *workspace;

	if (handle)
		return handle;
	check(cublasCreate(&handle), "start");
	if (cudaMalloc(&workspace, WORKSPACE) != cudaSuccess)
		dtn_die(DTN_ENV, "out of memory on cuda: %d bytes wanted for cuBLAS", WORKSPACE);
	check(cublasSetStream(handle, cuda_stream), "stream");
	check(cublasSetWorkspace(handle, workspace, WORKSPACE), "workspace");
	check(cublasSetMathMode(handle, CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION), "mode");
	return handle;
}

struct matrix { const void *at; cublasOperation_t op; int step; };

/* c [m,n] = op(a) op(b) over k, or c += ; columns first. */
void multiply(int type, int m, int n, int k, matrix a, matrix b, void *c, int c_type, bool add)
{
	const float one = 1, beta = add;
	const cudaDataType in = type == DTN_BF16 ? CUDA_R_16BF : CUDA_R_32F;
	const cudaDataType out = c_type == DTN_BF16 ? CUDA_R_16BF : CUDA_R_32F;

	check(cublasGemmEx(blas(), a.op, b.op, m, n, k, &one, a.at, in, a.step, b.at, in, b.step,
			   &beta, c, out, m, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
	      "matrix product");
}

/* --- few rows --------------------------------------------------------------------------------- */

enum { ROWS = 8, FILTERS = 8 };         /* of a warp; of a block */

template <class T>
__global__ void __launch_bounds__(WARP * FILTERS)
product_of_rows(T *y, const T *x, const T *w, const float *b, const T *residual, int M, int K,
		int C, int step)
{
	const int lane = (int)threadIdx.x % WARP, m0 = (int)blockIdx.x * ROWS;
	const int f = (int)blockIdx.y * FILTERS + (int)threadIdx.x / WARP;
	float sum[ROWS] = {};

	if (f >= K)
		return;
	for (int c = lane; c < C; c += WARP) {
		const float v = value(w[(size_t)f * step + c]);

#pragma unroll
		for (int i = 0; i < ROWS; i++)
			if (m0 + i < M)
				sum[i] = fmaf(v, value(x[(size_t)(m0 + i) * C + c]), sum[i]);
	}
#pragma unroll
	for (int i = 0; i < ROWS; i++) {
		const size_t to = (size_t)(m0 + i) * K + f;
		const float all = warp_sum(sum[i]);

		if (lane == i && m0 + i < M)
			set(y[to], all + b[f] + (residual ? value(residual[to]) : 0));
	}
}

/* --- the op ----------------------------------------------------------------------------------- */

struct sizes { size_t rows; int M, K, C, type; };

sizes sizes_of(const dtn_call *c)
{
	const int *w = c->in[1]->shape.dim;
	const size_t rows = dtn_shape_count(c->y->shape) / (size_t)w[0];

	return { rows, (int)rows, w[0], w[1], c->y->type };
}

/* [K,C] of the node's type, rows of whole 16 bytes, as convolutions have them. */
int row_of(const sizes &s)
{
	return cuda_conv_padded(s.C, s.type);
}

void *open(const dtn_call *c)
{
	const sizes s = sizes_of(c);

	if ((c->in[3] && c->in[3]->type != s.type) || c->in[0]->type != s.type)
		dtn_die(DTN_USAGE, "%s: a linear map of one element type", c->y->name);
	if (s.rows != (size_t)s.M)
		dtn_die(DTN_USAGE, "%s: more than 2^31 rows in a batch", c->y->name);
	if (c->training)
		(void)blas();
	return nullptr;
}

size_t packed(const dtn_call *c)
{
	const sizes s = sizes_of(c);

	return (size_t)s.K * row_of(s) * dtn_type_size(s.type);
}

void pack_weights(const dtn_call *c, void *to)
{
	const sizes s = sizes_of(c);

	cuda_conv_pack((const float *)c->x[1], s.K, s.C, 1, s.type, to, nullptr);
}

size_t scratch(const dtn_call *c)
{
	const sizes s = sizes_of(c);

	return c->training ? cuda_rows_scratch(s.rows, s.K) : 0;
}

template <class T> void forward_rows(const dtn_call *c, const sizes &s)
{
	LAUNCH(product_of_rows<T>, dim3(cuda_blocks(s.rows, ROWS), cuda_blocks(s.K, FILTERS)),
	       WARP * FILTERS, 0, (T *)c->out, (const T *)c->x[0], (const T *)c->packed,
	       (const float *)c->x[2], c->in[3] ? (const T *)c->x[3] : nullptr, s.M, s.K, s.C,
	       row_of(s));
}

/* As a convolution of one tap on one long row of pixels. */
void forward_positions(const dtn_call *c, const sizes &s)
{
	gather_call call = { {}, c->x[0], c->packed, (const float *)c->x[2],
			     c->in[3] ? c->x[3] : nullptr, c->out };
	gather &g = call.g;

	g.N = g.H = g.Ho = 1;
	g.W = g.Wo = s.M;
	g.C = s.C;
	g.K = s.K;
	g.step = g.ostep = g.row_taps = g.phases = 1;
	g.phase[0].height = g.phase[0].taps = 1;
	g.phase[0].width = s.M;
	if (s.type == DTN_BF16)
		cuda_gather_bf16(&call);
	else
		cuda_gather_f32(&call);
}

void forward(const dtn_call *c)
{
	const sizes s = sizes_of(c);

	if (c->y->shape.rank > 2)
		forward_positions(c, s);
	else
		BY_TYPE(s.type, forward_rows, c, s);
}

void backward(const dtn_call *c)
{
	const sizes s = sizes_of(c);

	if (c->dx[3])
		cuda_conv_copy(c->dx[3], c->dout, s.type, s.rows * (size_t)s.K, c->add[3]);
	if (c->dx[0])
		multiply(s.type, s.C, s.M, s.K, { c->packed, CUBLAS_OP_N, row_of(s) },
			 { c->dout, CUBLAS_OP_N, s.K }, c->dx[0], s.type, c->add[0]);
	if (c->dx[1])
		multiply(s.type, s.C, s.K, s.M, { c->x[0], CUBLAS_OP_N, s.C },
			 { c->dout, CUBLAS_OP_T, s.K }, c->dx[1], DTN_F32, false);
	if (c->dx[2])
		cuda_rows_sum((float *)c->dx[2], c->dout, s.type, s.rows, s.K,
			      (float *)c->scratch);
}

}

const struct dtn_kernel cuda_linear = { forward, backward, open, nullptr, scratch, packed,
					pack_weights };
