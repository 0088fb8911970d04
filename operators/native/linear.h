// A dense layer with int8 weights: every row of the input is quantized by itself, the products are summed in int32,
// and scales, bias and activation are applied before the result is written once.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>

#include "ort.h"
#include "simd.h"

namespace infolens {

enum class Activation { kNone, kRelu, kGelu };

// Weights in panels of 16 columns: for every 4 rows, 16 columns of 4 bytes, which is one register. Four panels lie side
// by side, so that a tile reads one stream. Bytes are shifted by 128, because the instruction multiplies unsigned by
// signed bytes and the input, which is broadcast from memory, has to be the signed one. The shift is taken off again
// with the sum of the input's row.
class Panels {
 public:
  static constexpr int kBeside = 4;               // Panels side by side.
  static constexpr int64_t kStep = kBeside * 64;  // Bytes from four rows to the next.

  Panels(const int8_t* weight, int64_t rows, int64_t columns)
      : source(weight), groups((rows + 3) / 4), count((columns + simd::kLanes - 1) / simd::kLanes) {
    constexpr size_t kPage = size_t{1} << 21;
    const size_t bytes = static_cast<size_t>((count + kBeside - 1) / kBeside * groups * kStep);
    const size_t alignment = bytes >= kPage ? kPage : 64;
    data_ = static_cast<uint8_t*>(std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment));
    if (data_ == nullptr) throw std::bad_alloc();
    if (alignment == kPage) madvise(data_, bytes, MADV_HUGEPAGE);
    for (int64_t index = 0; index < count; ++index) {
      for (int64_t k = 0; k < groups * 4; ++k) {
        uint8_t* to = data_ + place(index) + k / 4 * kStep + k % 4;
        for (int64_t j = 0; j < simd::kLanes; ++j) {
          const int64_t column = index * simd::kLanes + j;
          const bool inside = k < rows && column < columns;
          to[j * 4] = static_cast<uint8_t>((inside ? weight[k * columns + column] : 0) + 128);
        }
      }
    }
  }
  ~Panels() { std::free(data_); }
  Panels(const Panels&) = delete;
  Panels& operator=(const Panels&) = delete;

  const uint8_t* panel(int64_t index) const { return data_ + place(index); }
  int64_t bytes() const { return groups * 64; }

  const int8_t* const source;
  const int64_t groups;  // of four rows
  const int64_t count;

 private:
  int64_t place(int64_t index) const { return index / kBeside * groups * kStep + index % kBeside * 64; }

  uint8_t* data_;
};

constexpr int64_t kAheadBytes = 4096;

// Everything that a tile needs besides its place.
struct Layer {
  const Panels* panels;
  const int8_t* x;        // (rows, groups * 4)
  const float* x_scales;  // (rows)
  const int32_t* x_sums;  // (rows)
  const float* scales;    // (columns)
  const float* bias;      // (columns)
  float* y;               // (rows, columns)
  int64_t columns;
};

template <Activation kActivation>
__m512 activate(__m512 x) {
  if constexpr (kActivation == Activation::kRelu) return _mm512_max_ps(x, _mm512_setzero_ps());
  if constexpr (kActivation == Activation::kGelu) return simd::gelu(x);
  return x;
}

// One step along the inputs: four bytes of every row meet four rows of every panel. The index of a sum is written out
// at compile time, or the compiler keeps the sums in memory.
template <int kRows, int kPanels, int... kSum>
[[gnu::always_inline]] inline void accumulate(__m512i (&sums)[kRows * kPanels], const int8_t* x, int64_t stride,
                                              const uint8_t* w, std::integer_sequence<int, kSum...>) {
  __m512i columns[kPanels];
  for (int j = 0; j < kPanels; ++j) columns[j] = simd::kept(_mm512_load_si512(w + j * 64));
  (simd::dot(sums[kSum], columns[kSum % kPanels], _mm512_set1_epi32(simd::four_bytes(x + kSum / kPanels * stride))),
   ...);
}

template <Activation kActivation>
[[gnu::always_inline]] inline void write(const Layer& layer, int64_t row, int64_t column, __m512i sum) {
  const __mmask16 mask = simd::tail_mask(layer.columns - column);
  const __m512 scale =
      _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, layer.scales + column), _mm512_set1_ps(layer.x_scales[row]));
  const __m512 product = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, _mm512_set1_epi32(128 * layer.x_sums[row])));
  const __m512 value =
      activate<kActivation>(_mm512_fmadd_ps(product, scale, _mm512_maskz_loadu_ps(mask, layer.bias + column)));
  _mm512_mask_storeu_ps(layer.y + row * layer.columns + column, mask, value);
}

template <int kRows, int kPanels, Activation kActivation, int... kSum>
[[gnu::always_inline]] inline void tile(const Layer& layer, int64_t row, int64_t panel,
                                        std::integer_sequence<int, kSum...> all) {
  const int64_t groups = layer.panels->groups, stride = groups * 4;
  const int8_t* x = layer.x + row * stride;
  const uint8_t* w = layer.panels->panel(panel);
  __m512i sums[kRows * kPanels] = {(static_cast<void>(kSum), _mm512_setzero_si512())...};
  for (int64_t k = 0; k < groups; ++k) {
    // The processor foresees the stream, but not beyond its page.
    for (int p = 0; p < kPanels; ++p) _mm_prefetch(w + k * Panels::kStep + kAheadBytes + p * 64, _MM_HINT_T0);
    accumulate<kRows, kPanels>(sums, x + k * 4, stride, w + k * Panels::kStep, all);
  }
  (write<kActivation>(layer, row + kSum / kPanels, (panel + kSum % kPanels) * simd::kLanes, sums[kSum]), ...);
}

// Rows `row` to `row + kRows` and the panels `panel` to `panel + kPanels`.
template <int kRows, int kPanels, Activation kActivation>
void tile(const Layer& layer, int64_t row, int64_t panel) {
  tile<kRows, kPanels, kActivation>(layer, row, panel, std::make_integer_sequence<int, kRows * kPanels>());
}

// Six rows by four panels are 24 sums: as many as the registers hold beside the panels.
constexpr int kMostRows = 6, kMostPanels = Panels::kBeside;

template <int kPanels, Activation kActivation>
void tile(const Layer& layer, int64_t row, int64_t panel, int rows) {
  switch (rows) {
    case 1:
      return tile<1, kPanels, kActivation>(layer, row, panel);
    case 2:
      return tile<2, kPanels, kActivation>(layer, row, panel);
    case 3:
      return tile<3, kPanels, kActivation>(layer, row, panel);
    case 4:
      return tile<4, kPanels, kActivation>(layer, row, panel);
    case 5:
      return tile<5, kPanels, kActivation>(layer, row, panel);
    default:
      return tile<6, kPanels, kActivation>(layer, row, panel);
  }
}

template <Activation kActivation>
class Linear {
 public:
  explicit Linear(const ort::Info&) {}

  // x FLOAT (rows, inputs), weight INT8 (inputs, columns), scales and bias FLOAT (columns) -> FLOAT (rows, columns)
  void compute(const ort::Context& context) {
    const ort::Tensor x = context.input(0), weight = context.input(1), scales = context.input(2);
    const ort::Tensor bias = context.input(3);
    ort::require(x.rank == 2 && weight.rank == 2 && x.last() == weight.dims[0],
                 "a dense layer takes (rows, inputs) and a weight of (inputs, columns)");
    const int64_t rows = x.dims[0], inputs = x.dims[1], columns = weight.dims[1];
    ort::require(scales.size() == columns && bias.size() == columns, "a dense layer has a scale and a bias a column");
    const auto panels = packed(weight);
    const int64_t stride = panels->groups * 4;
    thread_local std::vector<int8_t> bytes;
    thread_local std::vector<float> x_scales;
    thread_local std::vector<int32_t> x_sums;
    bytes.resize(static_cast<size_t>(rows * stride));
    x_scales.resize(static_cast<size_t>(rows));
    x_sums.resize(static_cast<size_t>(rows));
    Layer layer{panels.get(),
                bytes.data(),
                x_scales.data(),
                x_sums.data(),
                scales.as<float>(),
                bias.as<float>(),
                context.output<float>(0, {rows, columns}),
                columns};
    const auto quantize = [&, q = bytes.data(), scale = x_scales.data(), sum = x_sums.data()](int64_t from,
                                                                                              int64_t to) {
      for (int64_t r = from; r < to; ++r) {
        sum[r] = simd::quantize_row(x.as<float>() + r * inputs, inputs, stride, q + r * stride, scale + r);
      }
    };
    constexpr int64_t kFewRows = 64;
    if (rows <= kFewRows) {
      quantize(0, rows);
      // A task reads about 64 KB of weights.
      const int64_t width = std::max<int64_t>(1, (int64_t{1} << 16) / panels->bytes() / kMostPanels) * kMostPanels;
      const int64_t tasks = (panels->count + width - 1) / width;
      context.parallel(static_cast<size_t>(tasks), [&](size_t task) {
        const int64_t first = static_cast<int64_t>(task) * width;
        block(layer, 0, rows, first, std::min(first + width, panels->count));
      });
      return;
    }
    // Rows that stay in the second-level cache while every panel passes by.
    constexpr int64_t kBlock = 4 * kMostRows, kCacheBytes = int64_t{1} << 18;
    const int64_t height = std::max<int64_t>(1, std::min<int64_t>(kCacheBytes / stride, 8 * kBlock) / kBlock) * kBlock;
    const int64_t heights = (rows + height - 1) / height;
    const int64_t parts = heights >= 8 ? 1 : std::min<int64_t>(8, panels->count);
    const int64_t width = ((panels->count + parts - 1) / parts + kMostPanels - 1) / kMostPanels * kMostPanels;
    context.parallel(static_cast<size_t>(heights), [&](size_t task) {
      const int64_t first = static_cast<int64_t>(task) * height;
      quantize(first, std::min(first + height, rows));
    });
    context.parallel(static_cast<size_t>(heights * parts), [&](size_t task) {
      const int64_t row = static_cast<int64_t>(task) / parts * height,
                    panel = static_cast<int64_t>(task) % parts * width;
      block(layer, row, std::min(row + height, rows), panel, std::min(panel + width, panels->count));
    });
  }

 private:
  // Rows and panels from and to. A few panels stay in the cache while all rows pass by.
  static void block(const Layer& layer, int64_t row, int64_t last_row, int64_t panel, int64_t last_panel) {
    // Blocks of rows of nearly the same height: 8 rows are 4 and 4, not 6 and 2.
    const int64_t blocks = (last_row - row + kMostRows - 1) / kMostRows;
    while (panel < last_panel) {
      const int64_t left = last_panel - panel, step = left >= kMostPanels ? kMostPanels : left >= 2 ? 2 : 1;
      for (int64_t i = 0, from = row; i < blocks; ++i) {
        const int64_t to = row + (last_row - row) * (i + 1) / blocks;
        const int rows = static_cast<int>(to - from);
        if (step == kMostPanels) tile<kMostPanels, kActivation>(layer, from, panel, rows);
        if (step == 2) tile<2, kActivation>(layer, from, panel, rows);
        if (step == 1) tile<1, kActivation>(layer, from, panel, rows);
        from = to;
      }
      panel += step;
    }
  }

  // The weights in panels; made at the first call, and again if the weights should ever lie elsewhere.
  std::shared_ptr<const Panels> packed(const ort::Tensor& weight) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (panels_ == nullptr || panels_->source != weight.as<int8_t>()) {
      panels_ = std::make_shared<const Panels>(weight.as<int8_t>(), weight.dims[0], weight.dims[1]);
    }
    return panels_;
  }

  std::mutex mutex_;
  std::shared_ptr<const Panels> panels_;
};

}  // namespace infolens
