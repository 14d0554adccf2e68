"""A consent in the words of others: ISO/IEC TS 27560 (DPV), Kantara 1.1, FHIR R4. Facts in, plain JSON out."""
