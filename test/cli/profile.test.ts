// Calibration profiles on disk: beside the model, of it alone, and read with suspicion.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { profilePath, readProfile, writeProfile } from "../../src/cli/profile.js";
import type { Profile } from "../../src/statistics/calibration.js";
import { splitModel } from "../support/split-gguf.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const MODEL = "models/fairytales-3M-Q8_0.gguf";

describe("profiles on disk", () => {
  it("are written over none of the model's files", async () => {
    const parts = await splitModel(MODEL, folder, "split", { tensors: [5, 5] });
    const own = JSON.parse(readFileSync(profilePath(MODEL), "utf8")) as Profile;
    for (const part of parts) {
      const before = readFileSync(part);
      await expect(writeProfile(own, part, parts[0] as string)).rejects.toMatchObject({ code: "output-exists" });
      expect(readFileSync(part).equals(before)).toBe(true);
    }
  });

  it("lie beside the model, and are of it alone", async () => {
    const path = join(folder, "m.gguf");
    copyFileSync(MODEL, path);
    await expect(readProfile(profilePath(path), path)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/m\.gguf has no calibration yet .*m\.calibration\.json.*brownian calibrate/),
    });
    const own = JSON.parse(readFileSync(profilePath(MODEL), "utf8")) as Profile;
    await writeProfile(own, profilePath(path), path);
    expect(await readProfile(profilePath(path), path)).toEqual(own);
    const data = readFileSync(path);
    data[data.length - 1] = (data[data.length - 1] as number) ^ 1;
    writeFileSync(path, data);
    await expect(readProfile(profilePath(path), path)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/of another model \(fairytales-3M-Q8_0\.gguf/),
    });
    for (const version of [1, 2]) {
      writeFileSync(profilePath(path), JSON.stringify({ ...own, version }));
      await expect(readProfile(profilePath(path), path)).rejects.toMatchObject({
        code: "usage",
        message: expect.stringMatching(/earlier version, whose sigma was another dose: .*brownian calibrate .*m\.gguf/),
      });
    }
    const otherDose = { ...own, settings: { ...own.settings, dose: "weight" } };
    for (const broken of [
      "",
      "{}",
      JSON.stringify({ ...own, version: 4 }),
      JSON.stringify(otherDose),
      JSON.stringify({ ...own, noise: [] }),
    ]) {
      writeFileSync(profilePath(path), broken);
      await expect(readProfile(profilePath(path), path)).rejects.toMatchObject({
        message: expect.stringMatching(/no calibration/),
      });
    }
  });
});
