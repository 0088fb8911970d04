// The part of ONNX Runtime's C interface that the operators need, declared here because no Python package ships its
// header. The binary interface is frozen: functions are only ever added at the end of the table, so the numbers below
// hold for version 17 of the interface (ONNX Runtime 1.17) and every later one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ort {

constexpr uint32_t kInterface = 17;

// Positions in the table of functions.
enum Function : size_t {
  kCreateStatus = 0,
  kCreateCustomOpDomain = 26,
  kCustomOpDomainAdd = 27,
  kAddCustomOpDomain = 28,
  kGetTensorMutableData = 51,
  kGetDimensionsCount = 61,
  kGetDimensions = 62,
  kGetTensorTypeAndShape = 65,
  kKernelInfoGetAttributeFloat = 85,
  kKernelInfoGetAttributeInt64 = 86,
  kKernelContextGetInput = 90,
  kKernelContextGetOutput = 91,
  kReleaseTensorTypeAndShapeInfo = 99,
  kKernelContextParallelFor = 274,
};

enum Type : int { kFloat = 1, kInt8 = 3, kInt32 = 6, kInt64 = 7, kBool = 9 };

struct Status;  // A null pointer is success.
struct Handle;  // Any other object of ONNX Runtime.

struct ApiBase {
  const void* const* (*get_api)(uint32_t version);
  const char* (*get_version)();
};

inline const void* const* table = nullptr;

template <class Result, class... Arguments>
Result call(Function function, Arguments... arguments) {
  return reinterpret_cast<Result (*)(Arguments...)>(const_cast<void*>(table[function]))(arguments...);
}

struct Error {
  Status* status;
};

inline Status* failure(const char* message) {
  constexpr int kInvalidArgument = 2;
  return call<Status*>(kCreateStatus, kInvalidArgument, message);
}

inline void check(Status* status) {
  if (status != nullptr) throw Error{status};
}

inline void require(bool condition, const char* message) {
  if (!condition) throw Error{failure(message)};
}

// A tensor that is read or written; dimensions beyond the rank are 1.
struct Tensor {
  static constexpr size_t kMostDimensions = 8;
  void* data = nullptr;
  int64_t dims[kMostDimensions] = {1, 1, 1, 1, 1, 1, 1, 1};
  size_t rank = 0;

  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  int64_t size() const {
    int64_t total = 1;
    for (size_t i = 0; i < rank; ++i) total *= dims[i];
    return total;
  }
  int64_t last() const { return dims[rank - 1]; }
  int64_t rows() const { return last() ? size() / last() : 0; }
};

class Context {
 public:
  explicit Context(Handle* context) : context_(context) {}

  Tensor input(size_t index) const {
    const Handle* value = nullptr;
    check(call<Status*>(kKernelContextGetInput, static_cast<const Handle*>(context_), index, &value));
    require(value != nullptr, "an operator of Info Lens lacks an input");
    Handle* info = nullptr;
    check(call<Status*>(kGetTensorTypeAndShape, value, &info));
    Tensor tensor;
    Status* status = call<Status*>(kGetDimensionsCount, static_cast<const Handle*>(info), &tensor.rank);
    if (status == nullptr && tensor.rank <= Tensor::kMostDimensions) {
      status = call<Status*>(kGetDimensions, static_cast<const Handle*>(info), tensor.dims, tensor.rank);
    }
    call<void>(kReleaseTensorTypeAndShapeInfo, info);
    check(status);
    require(tensor.rank <= Tensor::kMostDimensions, "an operator of Info Lens takes eight dimensions at most");
    check(call<Status*>(kGetTensorMutableData, const_cast<Handle*>(value), &tensor.data));
    return tensor;
  }

  template <class T>
  T* output(size_t index, std::initializer_list<int64_t> dims) const {
    return output<T>(index, dims.begin(), dims.size());
  }

  // An output of the shape of `like`.
  template <class T>
  T* output(size_t index, const Tensor& like) const {
    return output<T>(index, like.dims, like.rank);
  }

  template <class T>
  T* output(size_t index, const int64_t* dims, size_t rank) const {
    Handle* value = nullptr;
    check(call<Status*>(kKernelContextGetOutput, context_, index, dims, rank, &value));
    void* data = nullptr;
    check(call<Status*>(kGetTensorMutableData, value, &data));
    return static_cast<T*>(data);
  }

  // Runs function(0) to function(tasks - 1) on the session's threads.
  template <class F>
  void parallel(size_t tasks, F&& function) const {
    if (tasks == 0) return;
    if (tasks == 1) return function(size_t{0});
    auto each = [](void* data, size_t index) { (*static_cast<std::remove_reference_t<F>*>(data))(index); };
    void (*pointer)(void*, size_t) = each;
    check(call<Status*>(kKernelContextParallelFor, static_cast<const Handle*>(context_), pointer, tasks, size_t{0},
                        const_cast<void*>(static_cast<const void*>(&function))));
  }

 private:
  Handle* context_;
};

class Info {
 public:
  explicit Info(const Handle* info) : info_(info) {}

  int64_t integer(const char* name) const {
    int64_t value = 0;
    check(call<Status*>(kKernelInfoGetAttributeInt64, info_, name, &value));
    return value;
  }

  float real(const char* name) const {
    float value = 0;
    check(call<Status*>(kKernelInfoGetAttributeFloat, info_, name, &value));
    return value;
  }

 private:
  const Handle* info_;
};

// The structure that ONNX Runtime reads an operator from; its layout is part of the frozen interface.
struct CustomOp {
  uint32_t version = kInterface;
  void* (*create)(const CustomOp*, const void* const*, const Handle*) = nullptr;
  const char* (*name)(const CustomOp*) = nullptr;
  const char* (*provider)(const CustomOp*) = nullptr;
  Type (*input_type)(const CustomOp*, size_t) = nullptr;
  size_t (*input_count)(const CustomOp*) = nullptr;
  Type (*output_type)(const CustomOp*, size_t) = nullptr;
  size_t (*output_count)(const CustomOp*) = nullptr;
  void (*compute)(void*, Handle*) = nullptr;
  void (*destroy)(void*) = nullptr;
  int (*input_characteristic)(const CustomOp*, size_t) = nullptr;
  int (*output_characteristic)(const CustomOp*, size_t) = nullptr;
  int (*input_memory)(const CustomOp*, size_t) = nullptr;
  int (*variadic_input_minimum)(const CustomOp*) = nullptr;
  int (*variadic_input_homogeneous)(const CustomOp*) = nullptr;
  int (*variadic_output_minimum)(const CustomOp*) = nullptr;
  int (*variadic_output_homogeneous)(const CustomOp*) = nullptr;
  Status* (*create_v2)(const CustomOp*, const void* const*, const Handle*, void**) = nullptr;
  Status* (*compute_v2)(void*, Handle*) = nullptr;
  Status* (*infer_shape)(const CustomOp*, void*) = nullptr;
  int (*start_version)(const CustomOp*) = nullptr;
  int (*end_version)(const CustomOp*) = nullptr;
};

struct Operator : CustomOp {
  std::string label;
  std::vector<Type> inputs, outputs;
};

// An operator whose kernel is a class: Kernel(Info), and void compute(Context).
template <class Kernel>
Operator* make_operator(const char* label, std::vector<Type> inputs, std::vector<Type> outputs) {
  auto* op = new Operator;  // Lives as long as the process, as every session refers to it.
  op->label = label;
  op->inputs = std::move(inputs);
  op->outputs = std::move(outputs);
  op->name = [](const CustomOp* self) { return static_cast<const Operator*>(self)->label.c_str(); };
  op->provider = [](const CustomOp*) -> const char* { return nullptr; };
  op->input_type = [](const CustomOp* self, size_t i) { return static_cast<const Operator*>(self)->inputs[i]; };
  op->input_count = [](const CustomOp* self) { return static_cast<const Operator*>(self)->inputs.size(); };
  op->output_type = [](const CustomOp* self, size_t i) { return static_cast<const Operator*>(self)->outputs[i]; };
  op->output_count = [](const CustomOp* self) { return static_cast<const Operator*>(self)->outputs.size(); };
  op->input_characteristic = op->output_characteristic = [](const CustomOp*, size_t) { return 0; };
  op->input_memory = [](const CustomOp*, size_t) { return 0; };
  op->variadic_input_minimum = op->variadic_output_minimum = [](const CustomOp*) { return 1; };
  op->variadic_input_homogeneous = op->variadic_output_homogeneous = [](const CustomOp*) { return 1; };
  op->start_version = [](const CustomOp*) { return 1; };
  op->end_version = [](const CustomOp*) { return INT32_MAX; };
  op->create_v2 = [](const CustomOp*, const void* const*, const Handle* info, void** kernel) -> Status* {
    try {
      *kernel = new Kernel(Info(info));
      return nullptr;
    } catch (const Error& error) {
      return error.status;
    } catch (...) {
      return failure("an operator of Info Lens ran out of memory");
    }
  };
  op->compute_v2 = [](void* kernel, Handle* context) -> Status* {
    try {
      static_cast<Kernel*>(kernel)->compute(Context(context));
      return nullptr;
    } catch (const Error& error) {
      return error.status;
    } catch (...) {
      return failure("an operator of Info Lens ran out of memory");
    }
  };
  op->destroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  return op;
}

}  // namespace ort
