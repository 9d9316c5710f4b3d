# The native addon. Each instruction set is a library of its own, compiled with its own flags; dispatch.cc chooses at run time.
# -ffp-contract=off everywhere: a fused multiply-add would give other bits than the other backends.
{
  "variables": {
    # GCC 12 warns of _mm512_undefined_* in its own headers.
    "strict_float": ["-std=c++17", "-O3", "-ffp-contract=off", "-fno-strict-aliasing", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wextra", "-Wno-maybe-uninitialized", "-fvisibility=hidden"]
  },
  "target_defaults": {
    "cflags!": ["-O2"],
    "cflags_cc!": ["-fno-exceptions", "-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["<@(strict_float)"],
    "xcode_settings": {
      "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "GCC_OPTIMIZATION_LEVEL": "3",
      "MACOSX_DEPLOYMENT_TARGET": "11.0",
      "OTHER_CPLUSPLUSFLAGS": ["-ffp-contract=off", "-fno-strict-aliasing", "-fvisibility=hidden"]
    },
    "msvs_settings": { "VCCLCompilerTool": { "ExceptionHandling": 1, "FloatingPointModel": 0, "AdditionalOptions": ["/std:c++17", "/fp:precise", "/O2"] } }
  },
  "targets": [
    { "target_name": "brownian_scalar", "type": "static_library", "sources": ["native/targets/scalar.cc"] },
    {
      "target_name": "brownian",
      "sources": [
        "native/addon.cc", "native/arguments.cc", "native/buffers.cc", "native/census.cc", "native/collisions.cc", "native/diffusion.cc", "native/dispatch.cc", "native/draws.cc",
        "native/formats.cc",
        "native/law_table.cc", "native/mapped_file.cc", "native/mapped_file_object.cc", "native/plan.cc", "native/ranges.cc",
        "native/redraws.cc", "native/visits.cc",
        "native/engine/library.cc", "native/engine/model_object.cc", "native/engine/context_object.cc", "native/engine/context_reading.cc",
        "native/engine/sampler_object.cc"
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include_dir\")"],
      # What C++ itself throws, for want of memory, becomes an error of JavaScript's too.
      # A worker thread may be ended while its job runs: that there is nobody to tell must not end the process.
      "defines": ["NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS", "NODE_ADDON_API_CPP_EXCEPTIONS_ALL", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "dependencies": ["brownian_scalar"],
      "conditions": [
        ["target_arch=='x64'", { "dependencies": ["brownian_avx2", "brownian_avx512"] }],
        ["target_arch=='arm64'", { "dependencies": ["brownian_neon"] }]
      ]
    }
  ],
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "brownian_avx2",
          "type": "static_library",
          "sources": ["native/targets/avx2.cc"],
          "cflags_cc": ["-mavx2", "-mpopcnt"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-mavx2", "-mpopcnt"] },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["/arch:AVX2"] } }
        },
        {
          "target_name": "brownian_avx512",
          "type": "static_library",
          "sources": ["native/targets/avx512.cc"],
          "cflags_cc": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mpopcnt"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mpopcnt"] },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["/arch:AVX512"] } }
        }
      ]
    }],
    ["target_arch=='arm64'", {
      "targets": [{ "target_name": "brownian_neon", "type": "static_library", "sources": ["native/targets/neon.cc"] }]
    }]
  ]
}
