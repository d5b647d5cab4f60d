/* linear.cu -- linear maps of the innermost dimension, by cuBLAS.
 *
 *      y [M,K] = b + residual + x [M,C] w'             dx [M,C] = dy [M,K] w [K,C]
 *      dw [K,C] = dy' x                                db [K] = the sum of the rows of dy
 *
 * M is everything but the innermost dimension.  cuBLAS counts columns first, so it is told that a
 * row-major [M,K] is a [K,M] and computes y' = w x'.  In bf16 it multiplies bf16 copies of the
 * weights and adds in f32; in f32 the weights are used as they are, and no tf32.
 *
 * b + residual is written to y before, and the product added to it (cuBLAS' beta): one more pass
 * over y.  A thread of that kernel takes 16 bytes of a row:
 *
 *                    K                                       a block: 32 granules by 8 rows,
 *              +--------+--------+- - - -+                   then the rows 8 grids further
 *      row     | 16 B   | 16 B   |       |  = b + residual
 *              +--------+--------+- - - -+
 *
 * Bytes: x, w and y once, y twice more for the first pass; operations: 2 M K C.  In the attention
 * of a UNet, M = 32768 and K = C = 256 (bf16): 4.3 G operations and 67 MB, so memory decides on
 * cards that do more than 64 operations a byte, which all do; the estimate is 60 to 80 % of the
 * memory's speed.  No figure here was measured.
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
 * allocate. */
cublasHandle_t blas()
{
	enum { WORKSPACE = 32 << 20 };          /* what NVIDIA recommends for 9.0 */
	static cublasHandle_t handle;
	static void *workspace;

	if (handle)
		return handle;
	check(cublasCreate(&handle), "start");
	CUDA(cudaMalloc(&workspace, WORKSPACE));
	check(cublasSetStream(handle, cuda_stream), "stream");
	check(cublasSetWorkspace(handle, workspace, WORKSPACE), "workspace");
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

/* --- b + residual ----------------------------------------------------------------------------- */

enum { ACROSS = 32, DOWN = 8, MOST = 4096 };    /* threads; rows of blocks */

template <class T, int V>
__global__ void __launch_bounds__(ACROSS * DOWN)
begin_rows(T *y, const float *b, const T *residual, size_t rows, int K)
{
	const int f = (int)(blockIdx.x * ACROSS + threadIdx.x) * V;
	float bias[V];

	if (f >= K)
		return;
	for (int i = 0; i < V; i++)
		bias[i] = b[f + i];
	for (size_t r = blockIdx.y * DOWN + threadIdx.y; r < rows; r += gridDim.y * DOWN) {
		float v[V] = {};

		if (residual)
			load<V>(v, residual + r * K + f);
		for (int i = 0; i < V; i++)
			v[i] += bias[i];
		store<V>(y + r * K + f, v);
	}
}

template <class T, int V> void launch(T *y, const float *b, const T *residual, size_t rows, int K)
{
	const unsigned down = cuda_blocks(rows, DOWN);

	LAUNCH((begin_rows<T, V>), dim3(cuda_blocks(K, ACROSS * V), down < MOST ? down : +MOST),
	       dim3(ACROSS, DOWN), 0, y, b, residual, rows, K);
}

template <class T> void begin_y(const dtn_call *c, size_t rows, int K)
{
	T *y = (T *)c->out;
	const float *b = (const float *)c->x[2];
	const T *residual = c->in[3] ? (const T *)c->x[3] : nullptr;

	if (K % wide<T> == 0)
		launch<T, wide<T>>(y, b, residual, rows, K);
	else
		launch<T, 1>(y, b, residual, rows, K);
}

/* --- the op ----------------------------------------------------------------------------------- */

struct sizes { size_t rows; int M, K, C, type; };

sizes sizes_of(const dtn_call *c)
{
	const int *w = c->in[1]->shape.dim;
	const size_t rows = dtn_shape_count(c->y->shape) / (size_t)w[0];

	return { rows, (int)rows, w[0], w[1], c->y->type };
}

/* [K,C] as it is, or in bf16 with rows of whole 16 bytes, as convolutions have them. */
matrix weights(const dtn_call *c, const sizes &s, cublasOperation_t op)
{
	if (s.type == DTN_BF16)
		return { c->packed, op, cuda_conv_padded(s.C, s.type) };
	return { c->x[1], op, s.C };
}

void *open(const dtn_call *c)
{
	const sizes s = sizes_of(c);

	if ((c->in[3] && c->in[3]->type != s.type) || c->in[0]->type != s.type)
		dtn_die(DTN_USAGE, "%s: a linear map of one element type", c->y->name);
	if (s.rows != (size_t)s.M)
		dtn_die(DTN_USAGE, "%s: more than 2^31 rows in a batch", c->y->name);
	(void)blas();
	return nullptr;
}

size_t packed(const dtn_call *c)
{
	const sizes s = sizes_of(c);

	return s.type == DTN_BF16 ? (size_t)s.K * cuda_conv_padded(s.C, s.type) * sizeof(bf16) : 0;
}

void pack_weights(const dtn_call *c, void *to)
{
	const sizes s = sizes_of(c);

	if (s.type == DTN_BF16)
		cuda_conv_pack((const float *)c->x[1], s.K, s.C, 1, s.type, to, nullptr);
}

size_t scratch(const dtn_call *c)
{
	const sizes s = sizes_of(c);

	return c->training ? cuda_rows_scratch(s.rows, s.K) : 0;
}

void forward(const dtn_call *c)
{
	const sizes s = sizes_of(c);

	BY_TYPE(s.type, begin_y, c, s.rows, s.K);
	multiply(s.type, s.K, s.M, s.C, weights(c, s, CUBLAS_OP_T),
		 { c->x[0], CUBLAS_OP_N, s.C }, c->out, s.type, true);
}

void backward(const dtn_call *c)
{
	const sizes s = sizes_of(c);

	if (c->dx[3])
		cuda_conv_copy(c->dx[3], c->dout, s.type, s.rows * (size_t)s.K, c->add[3]);
	if (c->dx[0])
		multiply(s.type, s.C, s.M, s.K, weights(c, s, CUBLAS_OP_N),
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
