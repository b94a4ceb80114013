import bpy

export = bpy.context.scene.sonic4d.export

export.picture = "RENDER"
export.sound = "TAKE"
export.codec = "PCM"
export.level = "LOUDNESS"
export.lufs = -23
export.true_peak_dbtp = -1
