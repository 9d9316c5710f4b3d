// The addon's calls on weights in memory of JavaScript's, and on noise.
#pragma once
#include <napi.h>

namespace brownian {

/// Adds them to what the addon exports.
void export_buffers(Napi::Env env, Napi::Object exports);

}  // namespace brownian
