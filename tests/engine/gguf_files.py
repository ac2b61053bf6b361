"""GGUF files of tiny denoisers, written with the package gguf."""


def write_gguf(path, weights, *, as_type="Q8_0"):
    """Write tensors by name; matrices of whole blocks are quantised as ``as_type``, everything else is float32."""
    import gguf

    kind = gguf.GGMLQuantizationType[as_type]
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    writer = gguf.GGUFWriter(str(path), "tiny")
    for name, tensor in weights.items():
        array = tensor.float().numpy()
        if name.endswith(".weight") and array.ndim == 2 and array.shape[1] % block == 0:
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
