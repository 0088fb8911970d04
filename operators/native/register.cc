// The entry point that ONNX Runtime calls when a session registers this library.
#include <cpuid.h>

#include "attention.h"
#include "beam_attention.h"
#include "linear.h"
#include "norm.h"
#include "ort.h"

namespace {

// AMX: ONNX Runtime's own products use it, and these kernels do not.
bool has_amx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 25 & 1);
}

bool supported() {
  __builtin_cpu_init();
  return !has_amx() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}

}  // namespace

// Offers the operators of the domain `infolens`; on a processor without their instructions it offers none, and ONNX
// Runtime then runs the functions of the same names that every model carries.
extern "C" __attribute__((visibility("default"))) ort::Status* RegisterCustomOps(ort::Handle* options,
                                                                                const ort::ApiBase* base) {
  using namespace infolens;
  using ort::kFloat;
  using ort::kInt8;
  ort::table = base->get_api(ort::kInterface);
  if (ort::table == nullptr || !supported()) return nullptr;
  static ort::Operator* const operators[] = {
      ort::make_operator<Linear<Activation::kNone>>("Int8Linear", {kFloat, kInt8, kFloat, kFloat}, {kFloat}),
      ort::make_operator<Linear<Activation::kRelu>>("Int8LinearRelu", {kFloat, kInt8, kFloat, kFloat}, {kFloat}),
      ort::make_operator<Linear<Activation::kGelu>>("Int8LinearGelu", {kFloat, kInt8, kFloat, kFloat}, {kFloat}),
      ort::make_operator<AddNorm>("AddNorm", {kFloat, kFloat, kFloat, kFloat}, {kFloat}),
      ort::make_operator<SelfAttention>("Int8SelfAttention", {kFloat, ort::kInt32}, {kFloat}),
      ort::make_operator<CrossStore>("Int8CrossStore", {kFloat}, {kInt8, kFloat, kInt8, kFloat}),
      ort::make_operator<CrossAttention>("Int8CrossAttention", {kFloat, kInt8, kFloat, kInt8, kFloat, kFloat}, {kFloat}),
      ort::make_operator<BeamCache>("BeamCache", {ort::kInt64, ort::kInt64, ort::kInt64}, {kFloat}),
      ort::make_operator<BeamAttention>("BeamAttention", {kFloat, kFloat, kFloat, kFloat, kFloat}, {kFloat, kFloat, kFloat}),
  };
  try {
    ort::Handle* domain = nullptr;
    ort::check(ort::call<ort::Status*>(ort::kCreateCustomOpDomain, static_cast<const char*>("infolens"), &domain));
    for (const ort::CustomOp* op : operators) {
      ort::check(ort::call<ort::Status*>(ort::kCustomOpDomainAdd, domain, op));
    }
    ort::check(ort::call<ort::Status*>(ort::kAddCustomOpDomain, options, domain));
    return nullptr;
  } catch (const ort::Error& error) {
    return error.status;
  }
}
