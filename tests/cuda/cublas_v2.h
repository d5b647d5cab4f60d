/* cublas_v2.h -- the calls of cuBLAS that kernels/cuda uses, for a machine without a GPU. */
#ifndef STANDIN_CUBLAS_H
#define STANDIN_CUBLAS_H

#include <cuda_runtime.h>

typedef struct standin_cublas *cublasHandle_t;
enum cublasStatus_t {
	CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_INVALID_VALUE = 7,
	CUBLAS_STATUS_NOT_SUPPORTED = 15
};
enum cublasOperation_t { CUBLAS_OP_N, CUBLAS_OP_T };
enum cudaDataType { CUDA_R_32F = 0, CUDA_R_16BF = 14 };
typedef cudaDataType cudaDataType_t;
enum cublasComputeType_t {
	CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_32F_PEDANTIC = 69,
	CUBLAS_COMPUTE_32F_FAST_TF32 = 77
};
enum cublasGemmAlgo_t { CUBLAS_GEMM_DEFAULT = -1, CUBLAS_GEMM_DEFAULT_TENSOR_OP = 99 };
enum cublasMath_t {
	CUBLAS_DEFAULT_MATH = 0, CUBLAS_PEDANTIC_MATH = 2, CUBLAS_TF32_TENSOR_OP_MATH = 3,
	CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION = 16
};

extern "C" {
cublasStatus_t cublasCreate(cublasHandle_t *);
cublasStatus_t cublasDestroy(cublasHandle_t);
cublasStatus_t cublasSetStream(cublasHandle_t, cudaStream_t);
cublasStatus_t cublasSetWorkspace(cublasHandle_t, void *, size_t);
cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t);
const char *cublasGetStatusString(cublasStatus_t);

/* C [m,n] = alpha op(A) [m,k] op(B) [k,n] + beta C, columns first, as NVIDIA describes it. */
cublasStatus_t cublasGemmEx(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n,
			    int k, const void *alpha, const void *A, cudaDataType, int lda,
			    const void *B, cudaDataType, int ldb, const void *beta, void *C,
			    cudaDataType, int ldc, cublasComputeType_t, cublasGemmAlgo_t);
cublasStatus_t cublasGemmStridedBatchedEx(
	cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k,
	const void *alpha, const void *A, cudaDataType, int lda, long long strideA, const void *B,
	cudaDataType, int ldb, long long strideB, const void *beta, void *C, cudaDataType, int ldc,
	long long strideC, int batch, cublasComputeType_t, cublasGemmAlgo_t);
}

#endif
