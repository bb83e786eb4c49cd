// Filled below.
export const controls = [];
export const setup = () => async () => null;
