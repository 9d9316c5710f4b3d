// The class MappedFile as JavaScript has it: a file in memory, and work on it on threads outside the event loop.
#pragma once
#include <napi.h>

namespace brownian {

/// Adds the class to what the addon exports.
void export_mapped_file(Napi::Env env, Napi::Object exports);

}  // namespace brownian
