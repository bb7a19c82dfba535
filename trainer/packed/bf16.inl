// Rounding to bfloat16 for the products of gemm_bf16.inl and gemm_amx.inl. These three are the places with intrinsics:
// the compiler's vectors know no bfloat16.

// To the nearest, ties to even; NaN stays NaN.
std::uint32_t rounded(float x) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  if (x != x) return (bits >> 16) | 0x40U;
  return (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
}

// The first n of 16 floats, the others zero.
FATHOM_INLINE __m512 load_some(const float* p, std::int64_t n) {
  if (n >= 16) return _mm512_loadu_ps(p);
  return n <= 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << n) - 1U), p);
}
