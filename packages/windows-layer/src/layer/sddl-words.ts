/** The words of security descriptors as text ([MS-DTYP] 2.5.1.1), and what they stand for. */

type ControlBit =
  | 'daclPresent'
  | 'saclPresent'
  | 'daclAutoInheritRequired'
  | 'saclAutoInheritRequired'
  | 'daclAutoInherited'
  | 'saclAutoInherited'
  | 'daclProtected'
  | 'saclProtected'
  | 'selfRelative'

/** SE_* of a descriptor's control. */
export const control: Readonly<Record<ControlBit, number>> = {
  daclPresent: 0x4,
  saclPresent: 0x10,
  daclAutoInheritRequired: 0x100,
  saclAutoInheritRequired: 0x200,
  daclAutoInherited: 0x400,
  saclAutoInherited: 0x800,
  daclProtected: 0x1000,
  saclProtected: 0x2000,
  selfRelative: 0x8000,
}

export const aclFlags: Readonly<Record<'D' | 'S', Readonly<Record<string, number>>>> = {
  D: { P: control.daclProtected, AR: control.daclAutoInheritRequired, AI: control.daclAutoInherited },
  S: { P: control.saclProtected, AR: control.saclAutoInheritRequired, AI: control.saclAutoInherited },
}

export const aceTypes: Readonly<Record<string, number>> = {
  A: 0,
  D: 1,
  AU: 2,
  AL: 3,
  OA: 5,
  OD: 6,
  OU: 7,
  OL: 8,
  ML: 0x11,
}

export const aceFlags: Readonly<Record<string, number>> = {
  OI: 0x1,
  CI: 0x2,
  NP: 0x4,
  IO: 0x8,
  ID: 0x10,
  SA: 0x40,
  FA: 0x80,
}

export const rights: Readonly<Record<string, number>> = {
  GR: 0x8000_0000,
  GW: 0x4000_0000,
  GX: 0x2000_0000,
  GA: 0x1000_0000,
  RC: 0x2_0000,
  SD: 0x1_0000,
  WD: 0x4_0000,
  WO: 0x8_0000,
  RP: 0x10,
  WP: 0x20,
  CC: 0x1,
  DC: 0x2,
  LC: 0x4,
  SW: 0x8,
  LO: 0x80,
  DT: 0x40,
  CR: 0x100,
  FA: 0x1f_01ff,
  FR: 0x12_0089,
  FW: 0x12_0116,
  FX: 0x12_00a0,
  KA: 0xf_003f,
  KR: 0x2_0019,
  KW: 0x2_0006,
  KX: 0x2_0019,
}

/** Of a mandatory label these letters mean something else. */
export const labelRights: Readonly<Record<string, number>> = { NW: 0x1, NR: 0x2, NX: 0x4 }

/** Who is the same everywhere. */
export const everywhere: Readonly<Record<string, string>> = {
  WD: 'S-1-1-0',
  CO: 'S-1-3-0',
  CG: 'S-1-3-1',
  OW: 'S-1-3-4',
  NU: 'S-1-5-2',
  IU: 'S-1-5-4',
  SU: 'S-1-5-6',
  AN: 'S-1-5-7',
  ED: 'S-1-5-9',
  PS: 'S-1-5-10',
  AU: 'S-1-5-11',
  RC: 'S-1-5-12',
  SY: 'S-1-5-18',
  LS: 'S-1-5-19',
  NS: 'S-1-5-20',
  WR: 'S-1-5-33',
  BA: 'S-1-5-32-544',
  BU: 'S-1-5-32-545',
  BG: 'S-1-5-32-546',
  PU: 'S-1-5-32-547',
  AO: 'S-1-5-32-548',
  SO: 'S-1-5-32-549',
  PO: 'S-1-5-32-550',
  BO: 'S-1-5-32-551',
  RE: 'S-1-5-32-552',
  RU: 'S-1-5-32-554',
  RD: 'S-1-5-32-555',
  NO: 'S-1-5-32-556',
  MU: 'S-1-5-32-558',
  LU: 'S-1-5-32-559',
  IS: 'S-1-5-32-568',
  CY: 'S-1-5-32-569',
  ER: 'S-1-5-32-573',
  AC: 'S-1-15-2-1',
  LW: 'S-1-16-4096',
  ME: 'S-1-16-8192',
  MP: 'S-1-16-8448',
  HI: 'S-1-16-12288',
  SI: 'S-1-16-16384',
}
