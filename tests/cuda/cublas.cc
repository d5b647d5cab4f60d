/* cublas.cc -- matrix products for the stand-in, by the definition, summed in f64. */
#include "tests/cuda/cublas_v2.h"
#include "tests/cuda/standin.h"

struct standin_cublas { cudaStream_t stream; };

/* One operand: columns first, rows * columns as they lie in memory. */
struct matrix {
	const void *p;
	cudaDataType type;
	bool turned;
	int ld;
	long long stride;
};

static size_t size_of(cudaDataType type)
{
	return type == CUDA_R_32F ? 4 : 2;
}

static double get(const struct matrix *m, int batch, int i, int j)
{
	long long at = m->stride * batch + (m->turned ? j + (long long)i * m->ld :
					    i + (long long)j * m->ld);

	if (m->type == CUDA_R_32F)
		return (double)((const float *)m->p)[at];
	return (double)__uint_as_float((unsigned)((const uint16_t *)m->p)[at] << 16);
}

static void put(const struct matrix *m, int batch, int i, int j, double value)
{
	long long at = m->stride * batch + i + (long long)j * m->ld;

	if (m->type == CUDA_R_32F)
		((float *)m->p)[at] = (float)value;
	else
		((uint16_t *)m->p)[at] = (uint16_t)bf16_pair((float)value, 0);
}

/* rows and columns as they lie in memory; the last of them must be there too. */
static void check(const struct matrix *m, int rows, int columns, int batch, const char *name)
{
	size_t last = (size_t)(m->stride * (batch - 1) + (long long)(columns - 1) * m->ld + rows);

	if (m->ld < rows)
		standin_fault("cublas: %s has %d rows, a leading dimension of %d", name, rows,
			      m->ld);
	if (!standin_is_device(m->p, last * size_of(m->type)))
		standin_fault("cublas: %s at %p lies not within device memory", name, m->p);
}

extern "C" {

cublasStatus_t cublasCreate(cublasHandle_t *h)
{
	*h = new standin_cublas();
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t h)
{
	delete h;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t h, cudaStream_t stream)
{
	h->stream = stream;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t, void *, size_t)
{
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t)
{
	return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t s)
{
	return s == CUBLAS_STATUS_SUCCESS ? "success" : "invalid value";
}

cublasStatus_t cublasGemmStridedBatchedEx(
	cublasHandle_t h, cublasOperation_t turnA, cublasOperation_t turnB, int m, int n, int k,
	const void *alpha, const void *pA, cudaDataType typeA, int lda, long long strideA,
	const void *pB, cudaDataType typeB, int ldb, long long strideB, const void *beta, void *pC,
	cudaDataType typeC, int ldc, long long strideC, int batch, cublasComputeType_t,
	cublasGemmAlgo_t)
{
	const struct matrix A = { pA, typeA, turnA == CUBLAS_OP_T, lda, strideA };
	const struct matrix B = { pB, typeB, turnB == CUBLAS_OP_T, ldb, strideB };
	const struct matrix C = { pC, typeC, false, ldc, strideC };
	const double a = (double)*(const float *)alpha, b = (double)*(const float *)beta;

	if (m < 1 || n < 1 || k < 1 || batch < 1 || typeA != typeB)
		return CUBLAS_STATUS_INVALID_VALUE;
	check(&A, A.turned ? k : m, A.turned ? m : k, batch, "A");
	check(&B, B.turned ? n : k, B.turned ? k : n, batch, "B");
	check(&C, m, n, batch, "C");
	standin_do(h->stream, [=] {
		standin_device_open();
		for (int t = 0; t < batch; t++)
			for (int j = 0; j < n; j++)
				for (int i = 0; i < m; i++) {
					double sum = 0;

					for (int l = 0; l < k; l++)
						sum += get(&A, t, i, l) * get(&B, t, l, j);
					put(&C, t, i, j,
					    a * sum + (b == 0 ? 0 : b * get(&C, t, i, j)));
				}
		standin_device_close();
	});
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx(cublasHandle_t h, cublasOperation_t turnA, cublasOperation_t turnB,
			    int m, int n, int k, const void *alpha, const void *A,
			    cudaDataType typeA, int lda, const void *B, cudaDataType typeB, int ldb,
			    const void *beta, void *C, cudaDataType typeC, int ldc,
			    cublasComputeType_t compute, cublasGemmAlgo_t algo)
{
	return cublasGemmStridedBatchedEx(h, turnA, turnB, m, n, k, alpha, A, typeA, lda, 0, B,
					  typeB, ldb, 0, beta, C, typeC, ldc, 0, 1, compute, algo);
}

}
