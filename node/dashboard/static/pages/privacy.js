export const controls = [];
export const isAlone = true;
export const setup = () => async () => null;
