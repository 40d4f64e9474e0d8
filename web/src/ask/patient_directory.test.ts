import { describe, expect, it } from "vitest";
import type { Client } from "../wire/client";
import { PatientDirectory } from "./patient_directory";

/** A client whose patients come two to a page, `p0` to `p(count - 1)`. */
function clientOf(count: number) {
  const asked: string[] = [];
  const client = {
    read: async (path: string) => {
      asked.push(path);
      const from = Number(new URL(path, "http://x").searchParams.get("cursor") ?? 0);
      const ids = [from, from + 1].filter((at) => at < count);
      const patients = ids.map((at) => ({ id: `p${at}`, name: null, birth_date: null, sex: null }));
      return { patients, next: from + 2 < count ? String(from + 2) : null };
    },
  } as unknown as Client;
  return { client, asked };
}

describe("the patient directory", () => {
  it("follows the cursor until someone matches", async () => {
    const { client, asked } = clientOf(10);
    const directory = new PatientDirectory(client);
    await directory.search("p4", 1);
    expect(directory.matching("p4").map(({ id }) => id)).toEqual(["p4"]);
    expect(asked).toHaveLength(3);
    expect(directory.complete).toBe(false);
  });

  it("stops at the end of the list", async () => {
    const { client, asked } = clientOf(3);
    const directory = new PatientDirectory(client);
    await directory.search("nobody", 1);
    expect(directory.count).toBe(3);
    expect(directory.complete).toBe(true);
    expect(asked).toHaveLength(2);
  });

  it("fetches only its share of pages at once", async () => {
    const { client, asked } = clientOf(100);
    await new PatientDirectory(client).search("nobody", 1);
    expect(asked).toHaveLength(5);
  });

  it("loads a page once when two callers ask together", async () => {
    const { client } = clientOf(10);
    const directory = new PatientDirectory(client);
    await Promise.all([directory.loadMore(), directory.loadMore()]);
    expect(directory.count).toBe(2);
  });
});
