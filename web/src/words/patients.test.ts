import { describe, expect, it } from "vitest";
import { matchingPatients, patientDetails, patientName } from "./patients";

const ana = { id: "p1", name: "Ana Ruíz", birth_date: "1970-01-01", sex: "female" };
const unnamed = { id: "x-77", name: null, birth_date: null, sex: null };

describe("finding patients", () => {
  it("ignores case, accents and the order of words", () => {
    expect(matchingPatients([ana, unnamed], "ruiz AN")).toEqual([ana]);
  });

  it("also looks at ids and birth dates", () => {
    expect(matchingPatients([ana, unnamed], "77")).toEqual([unnamed]);
    expect(matchingPatients([ana, unnamed], "1970-01")).toEqual([ana]);
  });

  it("finds everyone when nothing is typed and no one when nothing fits", () => {
    expect(matchingPatients([ana, unnamed], "  ")).toEqual([ana, unnamed]);
    expect(matchingPatients([ana, unnamed], "ruiz 77")).toEqual([]);
  });
});

describe("naming patients", () => {
  it("leaves out what is not known", () => {
    expect(patientName(unnamed)).toBe("Patient x-77");
    expect(patientDetails(unnamed)).toBe("id x-77");
    expect(patientDetails(ana)).toBe("born 1970-01-01 · female · id p1");
  });
});
