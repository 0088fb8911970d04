// The entry point that ONNX Runtime calls when a session registers this library.
#include <cpuid.h>

#include "advance_slots.h"
#include "attention.h"
#include "beam_attention.h"
#include "keep_beams.h"
#include "linear.h"
#include "next_words.h"
#include "norm.h"
#include "ort.h"

namespace {

// AMX: ONNX Runtime's own products use it, and these kernels do not. With the macro they are offered nevertheless, to
// be measured beside them.
#ifdef INFOLENS_IGNORE_AMX
constexpr bool kIgnoreAmx = true;
#else
constexpr bool kIgnoreAmx = false;
#endif

bool has_amx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 25 & 1);
}

bool supported() {
  __builtin_cpu_init();
  return (kIgnoreAmx || !has_amx()) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}

// The operators of the domain `infolens`, made once: every session of this process refers to them.
ort::Handle* make_domain() {
  using namespace infolens;
  using ort::kBool;
  using ort::kFloat;
  using ort::kInt32;
  using ort::kInt64;
  using ort::kInt8;
  const std::vector<ort::Type> linear = {kFloat, kInt8, kFloat, kFloat}, stored = {kInt8, kFloat, kInt8, kFloat};
  // The state of the slots in engine/tensors.py, and all that a step of them reads: logits, wishes, choices, state and
  // lists of tokens.
  const std::vector<ort::Type> slots = {kInt64, kInt64, kInt64, kFloat, kBool, kInt64,
                                        kFloat, kBool,  kBool,  kBool,  kInt64};
  std::vector<ort::Type> step = {kFloat, kInt64, kInt64, kInt64, kInt64, kInt64, kInt64,
                                 kFloat, kBool,  kInt64, kInt64, kBool,  kBool,  kFloat};
  step.insert(step.end(), slots.begin(), slots.end());
  step.insert(step.end(), 3, kInt64);
  ort::Operator* const operators[] = {
      ort::make_operator<Linear<Activation::kNone>>("Int8Linear", linear, {kFloat}),
      ort::make_operator<Linear<Activation::kRelu>>("Int8LinearRelu", linear, {kFloat}),
      ort::make_operator<Linear<Activation::kGelu>>("Int8LinearGelu", linear, {kFloat}),
      ort::make_operator<AddNorm>("AddNorm", {kFloat, kFloat, kFloat, kFloat}, {kFloat}),
      ort::make_operator<SelfAttention>("Int8SelfAttention", {kFloat, kInt32}, {kFloat}),
      ort::make_operator<CrossStore>("Int8CrossStore", {kFloat}, stored),
      ort::make_operator<CrossAttention>("Int8CrossAttention", {kFloat, kInt8, kFloat, kInt8, kFloat, kFloat},
                                         {kFloat}),
      ort::make_operator<BeamCache>("BeamCache", {kInt64, kInt64, kInt64}, {kFloat}),
      ort::make_operator<BeamAttention>("BeamAttention", {kFloat, kFloat, kFloat, kFloat, kFloat},
                                        {kFloat, kFloat, kFloat}),
      ort::make_operator<NextWords>("NextWords",
                                    {kFloat, kInt32, kInt32, kInt32, kInt32, kFloat, kInt64, kInt64, kInt64, kInt32,
                                     kInt32, kInt32, kInt32, kInt32},
                                    {kFloat, kInt32, kInt32}),
      ort::make_operator<KeepBeams>("KeepBeams",
                                    {kFloat, kInt32, kInt32, kFloat, kFloat, kInt32, kFloat, kBool, kBool, kInt64,
                                     kFloat, kInt32, kInt64, kInt64, kInt64, kInt64, kInt64, kBool},
                                    {kInt32, kFloat, kFloat, kInt32, kFloat, kBool, kBool, kInt64, kBool}),
      ort::make_operator<SlotAttention>("SlotAttention", {kFloat, kFloat, kFloat, kInt64, kBool},
                                        {kFloat, kFloat, kFloat}),
      ort::make_operator<SlotStore>("Int8SlotStore", {kFloat, kInt64}, stored),
      ort::make_operator<AdvanceSlots>("AdvanceSlots", step, slots),
  };
  ort::Handle* domain = nullptr;
  ort::check(ort::call<ort::Status*>(ort::kCreateCustomOpDomain, static_cast<const char*>("infolens"), &domain));
  for (const ort::CustomOp* op : operators) ort::check(ort::call<ort::Status*>(ort::kCustomOpDomainAdd, domain, op));
  return domain;
}

}  // namespace

// On a processor without the instructions nothing is offered, and ONNX Runtime runs the functions of the same names
// that every model carries.
extern "C" __attribute__((visibility("default"))) ort::Status* RegisterCustomOps(ort::Handle* options,
                                                                                 const ort::ApiBase* base) {
  ort::table = base->get_api(ort::kInterface);
  if (ort::table == nullptr || !supported()) return nullptr;
  try {
    static ort::Handle* const domain = make_domain();
    return ort::call<ort::Status*>(ort::kAddCustomOpDomain, options, domain);
  } catch (const ort::Error& error) {
    return error.status;
  }
}
